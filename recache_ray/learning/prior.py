"""What is known of schedules before any of them has been measured: some that are recommended, and a predicted cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from recache_ray.schedules import Schedule

PredictedCost = Callable[[Schedule], float]
"""A schedule to a positive number that grows with its error, known without running it, in any unit."""


@dataclass(frozen=True)
class Prior:
    """Where a search begins, and what it believes until measurements say otherwise.

    Attributes:
        rivals: budget to schedules that known methods recommend there.
        predicted_cost: of any schedule; how far it is believed is learned from the schedules measured.
    """

    rivals: Mapping[int, Sequence[Schedule]] = field(default_factory=dict)
    predicted_cost: PredictedCost | None = None
