"""Random schedules: the level that any rule for choosing steps must beat."""

from __future__ import annotations

import math
from random import Random

from recache_ray.baselines.check_budget import check_budget
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed


def random_schedules(num_steps: int, budget: int, *, count: int, seed: int) -> tuple[Schedule, ...]:
    """Draw distinct schedules uniformly among those with exactly ``budget`` computed steps.

    Fewer than ``count`` come back only where fewer exist.

    Raises:
        BadInputError: if ``budget`` is outside 1..T or ``count`` is below 1.
    """
    check_budget(num_steps, budget)
    if count < 1:
        raise BadInputError(f"count = {count}: must be at least 1")
    generator = Random(derive_seed("baseline", "random", num_steps, budget, seed))
    wanted = min(count, math.comb(num_steps - 1, budget - 1))
    drawn: dict[Schedule, None] = {}
    while len(drawn) < wanted:
        others = generator.sample(range(1, num_steps), budget - 1)
        drawn[Schedule.from_steps(num_steps, (0, *others))] = None
    return tuple(drawn)
