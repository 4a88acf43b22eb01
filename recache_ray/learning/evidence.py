"""What a search knows: every reward measured, how schedules stand by it, and what they have still to be run on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recache_ray.learning.standing import Standing, Standings
from recache_ray.schedules import Schedule

Pair = tuple[int, Schedule]
"""Number of a request, and a schedule to run on it."""


@dataclass(frozen=True)
class Measurement:
    """One measured reward; ``request`` numbers prompt and seed."""

    schedule: Schedule
    request: int
    reward: float


class Evidence:
    """Rewards of schedules of several budgets, told round by round.

    Args:
        budgets: that are searched.
        weights: of the validation requests in the mean reward that is maximised.
        measured: rewards known beforehand, on validation or other requests.
        requests_each: how many requests a schedule is run on at a time.
    """

    def __init__(
        self,
        budgets: Sequence[int],
        weights: Mapping[int, float],
        measured: Iterable[Measurement],
        requests_each: int,
    ) -> None:
        self._budgets = tuple(budgets)
        self._weights = dict(weights)
        self._requests_each = requests_each
        self._rewards: dict[Schedule, dict[int, float]] = {}
        self._failed: set[Schedule] = set()
        self._standings: dict[int, Standings] = {}
        self._ordered: list[int] = []
        for measurement in measured:
            self._rewards.setdefault(measurement.schedule, {})[measurement.request] = measurement.reward

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self._rewards)

    def observe(self, rewards: Mapping[Pair, float | None]) -> None:
        """Take in rewards; None marks one that failed, and its schedule is given up."""
        self._standings, self._ordered = {}, []
        for (request, schedule), reward in rewards.items():
            if reward is None:
                self._failed.add(schedule)
            else:
                self._rewards.setdefault(schedule, {})[request] = reward

    def failed(self, schedule: Schedule) -> bool:
        """Whether it was given up."""
        return schedule in self._failed

    def lacking(self, schedule: Schedule) -> list[int]:
        """The validation requests this schedule has not been run on."""
        done = self._rewards.get(schedule, {})
        return [request for request in self._weights if request not in done]

    def is_open(self, schedule: Schedule) -> bool:
        """Whether there is anything left to run it on."""
        return schedule not in self._failed and bool(self.lacking(schedule))

    def best(self, budget: int) -> Schedule | None:
        """The schedule that stands highest of those run on all validation requests; None while there is none."""
        judged = [
            schedule
            for schedule in self._rewards
            if schedule.budget == budget and schedule not in self._failed and not self.lacking(schedule)
        ]
        if not judged:
            return None
        standings = self.standings(budget)
        return max(judged, key=lambda schedule: (standings.of(schedule), schedule))

    def mean(self, schedule: Schedule) -> float:
        """Mean reward as measured, of a schedule that was run on all validation requests."""
        rewards = self._rewards[schedule]
        return math.fsum(weight * rewards[request] for request, weight in self._weights.items())

    def measured(self, budget: int, judged: bool = True) -> dict[Schedule, dict[int, float]]:
        """The schedules of a budget that were run on validation requests, with their rewards there; or on others."""
        found = {
            schedule: {request: reward for request, reward in rewards.items() if (request in self._weights) == judged}
            for schedule, rewards in self._rewards.items()
            if schedule.budget == budget
        }
        return {schedule: rewards for schedule, rewards in found.items() if rewards}

    def standings(self, budget: int) -> Standings:
        """Of this budget; before anything is known at it, of the nearest one where something is."""
        if budget not in self._standings:
            near = sorted(self._budgets, key=lambda other: abs(math.log(other / budget)))
            found = next((measured for measured in map(self.measured, near) if measured), {})
            self._standings[budget] = Standings(found, self._weights)
        return self._standings[budget]

    def everyone(self, budget: int) -> list[Standing]:
        """The schedules measured, by what validation requests say of them, or else by what others do."""
        judged, others = self.measured(budget), self.measured(budget, judged=False)
        elsewhere = {schedule: rewards for schedule, rewards in others.items() if schedule not in judged}
        evenly = {request: 1.0 for rewards in elsewhere.values() for request in rewards}
        return [
            *(self.standings(budget).everyone() if judged else ()),
            *(Standings(elsewhere, evenly).everyone(elsewhere=True) if elsewhere else ()),
        ]

    def next_requests(self, schedule: Schedule) -> list[int]:
        """The next few requests to run a schedule on.

        All schedules take them in the same order, since those that run on the same request share a batch and the
        forwards of their common prefixes.
        """
        to_do = set(self.lacking(schedule))
        return [request for request in self._order() if request in to_do][: self._requests_each]

    def _order(self) -> list[int]:
        """All requests; every few in turn reach from those that move the means of all budgets most to the least.

        A schedule that does well where it is hard need not do well elsewhere, so the first few stand for all.
        """
        if not self._ordered:
            shares = [self.standings(budget).shares for budget in self._budgets]
            ranked = sorted(self._weights, key=lambda r: (-math.fsum(share[r] for share in shares), r))
            turns = -(-len(ranked) // self._requests_each)
            self._ordered = [request for first in range(turns) for request in ranked[first::turns]]
        return self._ordered
