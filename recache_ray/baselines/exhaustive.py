"""The best schedule of a budget by trying all of them: what every other search is measured against."""

from __future__ import annotations

from recache_ray.baselines.counted_reward import BlackBox, CountedReward, SearchResult
from recache_ray.errors import BadInputError
from recache_ray.schedules.enumeration import every_schedule, num_schedules


def exhaustive_search(reward: BlackBox, num_steps: int, budget: int) -> SearchResult:
    """Evaluate all C(T - 1, k - 1) schedules of ``budget``.

    Raises:
        BadInputError: if ``budget`` is outside 1..T or a reward is not finite.
    """
    if not 1 <= budget <= num_steps:
        raise BadInputError(f"budget = {budget}: must be between 1 and num_steps = {num_steps}")
    counted = CountedReward(reward, num_schedules(num_steps, budget))
    for schedule in every_schedule(num_steps, budget):
        counted(schedule)
    return counted.result()
