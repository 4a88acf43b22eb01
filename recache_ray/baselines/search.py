"""Searches that ask for schedules and are told their values, so that whoever drives them decides where these run.

A search is a generator: it yields schedules it has not asked for before, all it can use at once, and receives a value
for each, higher is better. Asking for many at once lets them share their computed prefixes; several searches can be
driven side by side. What a search asks is a pure function of what it was told, so recorded answers replay it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

BlackBox = Callable[[Schedule], float]
"""Reward of a schedule, higher is better; deterministic."""

Told = Mapping[Schedule, float]
"""Schedules asked for and their values."""


class EvaluationsSpent(Exception):
    """A search asked for one evaluation more than its limit; caught by the search itself."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best schedule a search evaluated, its reward, and how many distinct schedules were evaluated."""

    schedule: Schedule
    reward: float
    evaluations: int


Search = Generator[tuple[Schedule, ...], Told, SearchResult]
"""Yields what to evaluate, receives the values, returns the best."""


class Evaluations:
    """What a search was told so far, and the limit on how many distinct schedules it may ask for.

    Raises:
        BadInputError: if the limit is below 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise BadInputError(f"evaluations = {limit}: a search needs at least 1")
        self._limit = limit
        self._known: dict[Schedule, float] = {}

    def of(self, schedules: Iterable[Schedule]) -> Generator[tuple[Schedule, ...], Told, dict[Schedule, float]]:
        """Value every one of ``schedules``, asking for those not known.

        Raises:
            BadInputError: if a value is not finite.
            EvaluationsSpent: if the limit leaves some of them out, after those that it does allow.
        """
        wanted = tuple(dict.fromkeys(schedules))
        fresh = tuple(schedule for schedule in wanted if schedule not in self._known)
        allowed = fresh[: self._limit - len(self._known)]
        if allowed:
            told = yield allowed
            for schedule in allowed:
                self._known[schedule] = _finite(schedule, told[schedule])
        if len(allowed) < len(fresh):
            raise EvaluationsSpent
        return {schedule: self._known[schedule] for schedule in wanted}

    def __len__(self) -> int:
        """Distinct schedules evaluated so far."""
        return len(self._known)

    def result(self) -> SearchResult:
        """The best schedule evaluated so far; equal values go to the smaller schedule."""
        reward, schedule = min((-reward, schedule) for schedule, reward in self._known.items())
        return SearchResult(schedule, -reward, len(self))


def drive(search: Search, reward: BlackBox) -> SearchResult:
    """Run a search to its end on a function, one call per distinct schedule.

    Raises:
        BadInputError: if a reward is not finite.
    """
    try:
        asked = next(search)
        while True:
            asked = search.send({schedule: reward(schedule) for schedule in asked})
    except StopIteration as ended:
        result: SearchResult = ended.value
        return result


def _finite(schedule: Schedule, value: float) -> float:
    if not math.isfinite(value):
        raise BadInputError(f"reward of {schedule} = {value}: must be finite; return a low reward instead")
    return float(value)
