"""What a worker tells of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recache_ray.types.mechanism import MechanismSpec
from recache_ray.types.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """Ask a worker which model it runs and what a step of it costs, so that the learner never loads one.

    The stored reference of ``request`` lends its prompt embedding.
    """

    task_id: int
    mechanism: MechanismSpec
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The answer to a :class:`ProbeTask`.

    Attributes:
        model: what ``schedules.json`` says of the model, JSON values.
        computed_flops, cached_flops: floating-point operations of one computed and one cached step, one sibling.
        computed_s, cached_s: seconds of the same, measured on the worker.
    """

    task_id: int
    model: Mapping[str, str | int | float]
    computed_flops: float
    cached_flops: float
    computed_s: float
    cached_s: float
    worker: str = ""
