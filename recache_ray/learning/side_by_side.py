"""Searches that know nothing of each other, run as one.

A search settles in one family of schedules, which one is chance, and at a single budget two searches of one setting
differ by a third. Several, each with judges of its own, give the confirmation families to choose among, none of
which was fitted to the judges of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from recache_ray.learning.polish import LocalSearch, Pair
from recache_ray.schedules import Schedule


class SideBySide:
    """Asks and is told like one :class:`~recache_ray.learning.polish.LocalSearch`; every round is one of each search.

    Args:
        searches: at least one; the requests of one search are numbered after those of the searches before it.
    """

    def __init__(self, searches: Sequence[LocalSearch]) -> None:
        self.searches = tuple(searches)
        sizes = [len(search.requests) for search in self.searches]
        self._firsts = [end - size for end, size in zip(accumulate(sizes), sizes, strict=True)]

    @property
    def evaluations(self) -> int:
        """Bound on the pairs proposed by all searches."""
        return sum(search.evaluations for search in self.searches)

    @property
    def spent(self) -> int:
        """Pairs proposed so far."""
        return sum(search.spent for search in self.searches)

    def propose(self) -> tuple[Pair, ...]:
        """The pairs of the next round; empty when all searches are over."""
        return tuple(
            (first + request, schedule)
            for first, search in zip(self._firsts, self.searches, strict=True)
            for request, schedule in search.propose()
        )

    def observe(self, rewards: Mapping[Pair, float | None]) -> None:
        """Give each search the rewards of its own pairs."""
        for first, search in zip(self._firsts, self.searches, strict=True):
            own = range(first, first + len(search.requests))
            search.observe({(request - first, s): reward for (request, s), reward in rewards.items() if request in own})

    def leading(self) -> tuple[dict[int, Schedule], ...]:
        """Of every search, the best schedule per budget."""
        return tuple(search.best() for search in self.searches)
