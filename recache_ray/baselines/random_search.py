"""The best of random schedules: the least that a search must beat."""

from __future__ import annotations

from recache_ray.baselines.counted_reward import BlackBox, CountedReward, SearchResult
from recache_ray.baselines.random import random_schedules


def random_search(reward: BlackBox, num_steps: int, budget: int, *, evaluations: int, seed: int) -> SearchResult:
    """Evaluate ``evaluations`` distinct schedules drawn uniformly, or all where fewer exist.

    Raises:
        BadInputError: if an argument is out of range or a reward is not finite.
    """
    counted = CountedReward(reward, evaluations)
    for schedule in random_schedules(num_steps, budget, count=evaluations, seed=seed):
        counted(schedule)
    return counted.result()
