"""The best of random schedules: the least that a search must beat."""

from __future__ import annotations

from recache_ray.baselines.random import random_schedules
from recache_ray.baselines.search import BlackBox, Evaluations, Search, SearchResult, drive

# Small enough that an interrupted search loses little, large enough to share prefixes.
_AT_ONCE = 24


def random_search(reward: BlackBox, num_steps: int, budget: int, *, evaluations: int, seed: int) -> SearchResult:
    """Run :func:`best_of_random` on a function.

    Raises:
        BadInputError: if an argument is out of range or a reward is not finite.
    """
    return drive(best_of_random(num_steps, budget, evaluations=evaluations, seed=seed), reward)


def best_of_random(num_steps: int, budget: int, *, evaluations: int, seed: int) -> Search:
    """Evaluate ``evaluations`` distinct schedules drawn uniformly, or all where fewer exist.

    Raises:
        BadInputError: once started, if an argument is out of range or a value is not finite.
    """
    values = Evaluations(evaluations)
    drawn = random_schedules(num_steps, budget, count=evaluations, seed=seed)
    for start in range(0, len(drawn), _AT_ONCE):
        yield from values.of(drawn[start : start + _AT_ONCE])
    return values.result()
