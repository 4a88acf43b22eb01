"""Rivals that search with real generations, by name; each finds the schedule of one budget at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from recache_ray.baselines.annealing import annealing
from recache_ray.baselines.random_search import best_of_random
from recache_ray.baselines.search import Search


class MakeSearch(Protocol):
    """Builds a search of exactly ``budget`` of T steps that asks for at most ``evaluations`` distinct schedules."""

    def __call__(self, num_steps: int, budget: int, *, evaluations: int, seed: int) -> Search: ...


SEARCHES: Mapping[str, MakeSearch] = {"budcache": annealing, "random_search": best_of_random}
"""``budcache`` anneals and climbs (arXiv 2606.13496); ``random_search`` keeps the best of random schedules."""
