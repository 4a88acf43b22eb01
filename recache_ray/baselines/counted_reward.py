"""What every black-box search runs on: a reward that remembers, counts its evaluations and stops at a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

BlackBox = Callable[[Schedule], float]
"""Reward of a schedule, higher is better; deterministic."""


class EvaluationsSpent(Exception):
    """A search asked for one evaluation more than its limit; caught by the search itself."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best schedule a search evaluated, its reward, and how many distinct schedules were evaluated."""

    schedule: Schedule
    reward: float
    evaluations: int


class CountedReward:
    """A memoised reward with a limit on how many distinct schedules are evaluated.

    Args:
        reward: the black box; called once per distinct schedule.
        limit: most calls of ``reward``.

    Raises:
        BadInputError: if the limit is below 1.
    """

    def __init__(self, reward: BlackBox, limit: int) -> None:
        if limit < 1:
            raise BadInputError(f"evaluations = {limit}: a search needs at least 1")
        self._reward = reward
        self._limit = limit
        self._known: dict[Schedule, float] = {}

    def __call__(self, schedule: Schedule) -> float:
        """The reward of ``schedule``.

        Raises:
            BadInputError: if the reward is not finite.
            EvaluationsSpent: if the schedule is new and the limit is reached.
        """
        if schedule not in self._known:
            if self.evaluations >= self._limit:
                raise EvaluationsSpent
            value = float(self._reward(schedule))
            if not math.isfinite(value):
                raise BadInputError(f"reward of {schedule} = {value}: must be finite; return a low reward instead")
            self._known[schedule] = value
        return self._known[schedule]

    @property
    def evaluations(self) -> int:
        """Distinct schedules evaluated so far."""
        return len(self._known)

    def result(self) -> SearchResult:
        """The best schedule evaluated so far; equal rewards go to the smaller schedule."""
        reward, schedule = min((-reward, schedule) for schedule, reward in self._known.items())
        return SearchResult(schedule, -reward, self.evaluations)
