"""Caching in a user's own pipeline: ``enable``, ``disable`` and the ``cached`` context manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.registry import build_mechanism, parse_mechanism
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.types import MechanismSpec


def enable(pipe: Any, schedule: Schedule, mechanism: str | MechanismSpec = "taylor") -> None:
    """Make every following call of ``pipe`` follow ``schedule``; replaces a schedule enabled before.

    Args:
        pipe: a diffusers pipeline with a ``transformer`` of a known class.
        schedule: its ``num_steps`` must equal the steps the pipeline is called with.
        mechanism: ``"reuse"``, ``"taylor"`` (order 1), ``"taylor2"``, ``"newton2"``, ``"hermite2"`` or a spec.

    Raises:
        BadInputError: here if pipeline or mechanism is unknown; at the pipeline's first step if it runs another
            number of steps than the schedule has.

    Example:
        ``recache.enable(pipe, table[10]); pipe("a cat", num_inference_steps=50)``
    """
    rule = build_mechanism(parse_mechanism(mechanism))
    interceptor = ScheduleInterceptor(
        _transformer(pipe), [schedule], rule, generation=lambda: _generation(pipe, schedule.num_steps)
    )
    disable(pipe)
    interceptor.attach()


def disable(pipe: Any) -> None:
    """Undo :func:`enable`; does nothing where no schedule is enabled."""
    interceptor = attached_interceptor(_transformer(pipe))
    if interceptor is not None:
        interceptor.detach()


@contextmanager
def cached(pipe: Any, schedule: Schedule, mechanism: str | MechanismSpec = "taylor") -> Iterator[None]:
    """:func:`enable` within a ``with`` block; the pipeline is as before afterwards, also after an exception.

    Example:
        ``with recache.cached(pipe, schedule): image = pipe("a cat", num_inference_steps=50).images[0]``
    """
    enable(pipe, schedule, mechanism)
    try:
        yield
    finally:
        disable(pipe)


def _transformer(pipe: Any) -> Any:
    transformer = getattr(pipe, "transformer", None)
    if transformer is None:
        raise BadInputError(f"{type(pipe).__name__}: has no transformer to cache; pass a diffusers pipeline")
    return transformer


def _generation(pipe: Any, num_steps: int) -> object:
    """The timesteps of the generation under way, a new tensor in each; refuses another number of steps.

    Read at every transformer call, so nothing here may wait for a GPU.
    """
    timesteps = pipe.scheduler.timesteps
    running = getattr(pipe, "num_timesteps", len(timesteps))
    if running != num_steps:
        raise BadInputError(
            f"the pipeline runs {running} steps, the schedule has num_steps = {num_steps}; "
            f"call it with num_inference_steps={num_steps}"
        )
    return timesteps
