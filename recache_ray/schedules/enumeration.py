"""All schedules of a budget, and how many there are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from recache_ray.schedules.schedule import Schedule


def every_schedule(num_steps: int, budget: int) -> Iterator[Schedule]:
    """All C(T - 1, k - 1) schedules of a budget, in lexicographic order."""
    for steps in itertools.combinations(range(1, num_steps), budget - 1):
        yield Schedule(num_steps, (0, *steps))


def num_schedules(num_steps: int, budget: int) -> int:
    """C(T - 1, k - 1)."""
    return math.comb(num_steps - 1, budget - 1)
