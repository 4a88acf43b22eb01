"""The best schedule of a budget by trying all of them: what every other search is measured against."""

from __future__ import annotations

from recache_ray.baselines.check_budget import check_budget
from recache_ray.baselines.search import BlackBox, Evaluations, Search, SearchResult, drive
from recache_ray.schedules.enumeration import every_schedule, num_schedules


def exhaustive_search(reward: BlackBox, num_steps: int, budget: int) -> SearchResult:
    """Evaluate all C(T - 1, k - 1) schedules of ``budget``.

    Raises:
        BadInputError: if ``budget`` is outside 1..T or a reward is not finite.
    """
    check_budget(num_steps, budget)
    return drive(_every(num_steps, budget), reward)


def _every(num_steps: int, budget: int) -> Search:
    values = Evaluations(num_schedules(num_steps, budget))
    yield from values.of(every_schedule(num_steps, budget))
    return values.result()
