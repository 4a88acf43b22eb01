"""Whether a pipeline makes the transformer calls that a schedule of T steps was written for."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from torch import nn

from recache_ray.diffusion.guidance import GuidanceMode
from recache_ray.errors import BadInputError


def check_pipeline(pipe: Any) -> None:
    """Refuse a pipeline whose denoising steps are not the calls of its one transformer.

    Raises:
        BadInputError: if a second transformer takes over half-way, or the solver evaluates it twice a step.
    """
    if getattr(pipe, "transformer_2", None) is not None:
        raise BadInputError(
            f"{type(pipe).__name__}: a second transformer takes over half-way, as in Wan 2.2, and one schedule cannot "
            "serve both; use a model with one"
        )
    order = getattr(pipe.scheduler, "order", 1)
    if order != 1:
        raise BadInputError(
            f"{type(pipe.scheduler).__name__}: evaluates the transformer {order} times a step, at different noise "
            "levels, so its calls are not the steps of a schedule; use a multi-step solver such as UniPC or DPM++"
        )


def running_generation(pipe: Any, num_steps: int) -> object:
    """The timesteps of the generation under way, a new tensor in each.

    Read at every transformer call, so nothing here may wait for a GPU.

    Raises:
        BadInputError: if it has another number of steps.
    """
    timesteps = pipe.scheduler.timesteps
    running = getattr(pipe, "num_timesteps", len(timesteps))
    if running != num_steps:
        raise BadInputError(
            f"the pipeline runs {running} steps, the schedule has num_steps = {num_steps}; "
            f"call it with num_inference_steps={num_steps}"
        )
    return timesteps


class CallCheck:
    """Counts the transformer calls of one generation and refuses another number than the guidance mode makes.

    Example: ``with CallCheck(transformer, 50, GuidanceMode.TWO_CALLS): pipe(...)``
    """

    def __init__(self, transformer: nn.Module, num_steps: int, guidance: GuidanceMode) -> None:
        self._transformer = transformer
        self._num_steps = num_steps
        self._guidance = guidance
        self._calls = 0

    def __enter__(self) -> Self:
        self._handle = self._transformer.register_forward_pre_hook(self._count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.remove()
        expected = self._num_steps * self._guidance.calls
        if error is None and self._calls != expected:
            raise BadInputError(
                f"the pipeline called its transformer {self._calls} times, {self._num_steps} steps of guidance mode "
                f"{self._guidance} make {expected}; leave solver and guidance to the adapter"
            )

    def _count(self, module: nn.Module, args: Any) -> None:
        self._calls += 1
