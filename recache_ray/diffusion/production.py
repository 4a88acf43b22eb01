"""Caching in a user's own pipeline: ``enable``, ``disable`` and the ``cached`` context manager.

State belongs to the transformer instance and to one generation: a new generation starts afresh whatever became of the
last one, so resolution, number of prompts, LoRA and weights may change between calls. Pipelines in different threads
do not influence each other. One pipeline serves one thread at a time, as diffusers' schedulers demand; a second thread
in a generation under way is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.registry import build_mechanism
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.diffusion.families import known_pipelines
from recache_ray.diffusion.production_source import (
    ScheduleSource,
    check_same_model,
    chosen_mechanism,
    chosen_schedule,
)
from recache_ray.diffusion.step_watch import check_pipeline, running_generation
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.types import MechanismSpec


def enable(
    pipe: Any,
    schedule: ScheduleSource,
    mechanism: str | MechanismSpec | None = None,
    *,
    budget: int | str | None = None,
) -> Schedule:
    """Make every following call of ``pipe`` follow a schedule; replaces one enabled before.

    Args:
        pipe: a diffusers pipeline with a ``transformer`` of a known class.
        schedule: a schedule, or a table or policy with ``budget``; its ``num_steps`` must equal the steps the pipeline
            is called with.
        mechanism: ``"reuse"``, ``"taylor"`` (order 1), ``"taylor2"``, ``"newton2"``, ``"hermite2"`` or a spec; None is
            the one a table was learned with, else ``"taylor"``.
        budget: computed steps k, ``"x4"`` or ``"20%"``; ``"250ms"`` where the table's run measured times.

    Returns:
        The schedule that is followed.

    Raises:
        BadInputError: here if pipeline, solver, mechanism, model or budget is not one that can be used; at the
            pipeline's first step if it runs another number of steps than the schedule has, or in two threads at once.

    Example:
        ``recache.enable(pipe, table, budget="x4"); pipe("a cat", num_inference_steps=50)``
    """
    chosen = chosen_schedule(schedule, budget)
    rule = build_mechanism(chosen_mechanism(schedule, mechanism))
    transformer = _transformer(pipe)
    check_pipeline(pipe)
    check_same_model(schedule, pipe)
    watch = _OneThread(pipe, chosen.num_steps)
    interceptor = ScheduleInterceptor(transformer, [chosen], rule, generation=watch.generation)
    disable(pipe)
    interceptor.attach()
    return chosen


def disable(pipe: Any) -> None:
    """Undo :func:`enable`; does nothing where no schedule is enabled."""
    interceptor = attached_interceptor(_transformer(pipe))
    if interceptor is not None:
        interceptor.detach()


@contextmanager
def cached(
    pipe: Any,
    schedule: ScheduleSource,
    mechanism: str | MechanismSpec | None = None,
    *,
    budget: int | str | None = None,
) -> Iterator[Schedule]:
    """:func:`enable` within a ``with`` block; the pipeline is as before afterwards, also after an exception.

    Example:
        ``with recache.cached(pipe, policy, budget="x4"): image = pipe("a cat", num_inference_steps=50).images[0]``
    """
    chosen = enable(pipe, schedule, mechanism, budget=budget)
    try:
        yield chosen
    finally:
        disable(pipe)


class _OneThread:
    """Tells generations apart, and refuses that two threads run one pipeline at the same time."""

    def __init__(self, pipe: Any, num_steps: int) -> None:
        self._pipe = pipe
        self._num_steps = num_steps
        self._token: object = None
        self._thread = 0

    def generation(self) -> object:
        token = running_generation(self._pipe, self._num_steps)
        thread = threading.get_ident()
        if token is not self._token:
            self._token, self._thread = token, thread
        elif thread != self._thread:
            # the other thread's call has replaced the scheduler's timesteps: this one's result is spoilt already
            raise BadInputError(
                f"{type(self._pipe).__name__}: two threads run it at once, which its scheduler does not allow; give "
                "each thread a pipeline with a transformer of its own, or hold a lock around the call"
            )
        return token


def _transformer(pipe: Any) -> Any:
    transformer = getattr(pipe, "transformer", None)
    if transformer is None:
        raise BadInputError(
            f"{type(pipe).__name__}: has no transformer to cache; pipelines with an adapter: {known_pipelines()}"
        )
    return transformer
