"""Caching in a user's own pipeline: ``enable``, ``disable`` and the ``cached`` context manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.registry import build_mechanism, parse_mechanism
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.diffusion.families import known_pipelines
from recache_ray.diffusion.step_watch import check_pipeline, running_generation
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
        BadInputError: here if pipeline, solver or mechanism is not one that can be used; at the pipeline's first step
            if it runs another number of steps than the schedule has.

    Example:
        ``recache.enable(pipe, table[10]); pipe("a cat", num_inference_steps=50)``
    """
    rule = build_mechanism(parse_mechanism(mechanism))
    transformer = _transformer(pipe)
    check_pipeline(pipe)
    interceptor = ScheduleInterceptor(
        transformer, [schedule], rule, generation=lambda: running_generation(pipe, schedule.num_steps)
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
        raise BadInputError(
            f"{type(pipe).__name__}: has no transformer to cache; pipelines with an adapter: {known_pipelines()}"
        )
    return transformer
