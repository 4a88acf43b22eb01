"""Which of the best schedules of a budget is the best, asked of prompts that the search has not seen.

What stands highest after a search stands highest partly by luck on the very prompts it was searched on, and a rival
may have been given up after a few of them. So the few best of every budget and all rivals run on prompts of which most
are new to them, by sequential halving: round by round the better half goes on and runs on twice as many. The last two
run on everybody. (Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits".) Whoever is
compared has been run on the same prompts: which schedule is better differs between hard prompts and others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from recache_ray.learning.judges import Jury
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.polish import Pair
from recache_ray.learning.standing import Standings
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed

# Schedules of a budget that are confirmed, rivals apart.
FINALISTS = 6
# Pairs proposed at once, request by request: that many are lost when a run is killed.
AT_ONCE = 500


class Confirmation:
    """Ask for pairs with :meth:`propose`, tell their rewards with :meth:`observe`, until nothing is proposed.

    Like the search before it, what it proposes is a pure function of what it was told.

    Args:
        finalists: schedules per budget, the search's own choice first.
        jury: who judges; where nobody is further than the search's judges, the search's choice stands.
        known: rewards of finalists by number of the request among everyone; these cost nothing.
        seed: of the order in which everyone is asked.
    """

    def __init__(
        self,
        finalists: Mapping[int, Sequence[Schedule]],
        jury: Jury,
        known: Mapping[Schedule, Mapping[int, float]],
        seed: int,
    ) -> None:
        everyone = list(enumerate(jury.everyone.weights))
        random.Random(derive_seed("confirm", seed)).shuffle(everyone)
        self._everyone = everyone if jury.further else []
        self._chosen = {budget: schedules[0] for budget, schedules in finalists.items()}
        self._left = {b: tuple(schedules if jury.further else schedules[:1]) for b, schedules in finalists.items()}
        self._rewards = {schedule: dict(known[schedule]) for left in self._left.values() for schedule in left}
        self._rounds = halving(max(map(len, self._left.values())), len(self._everyone))
        self._round = 0
        self.spent = 0
        self._most = sum(most_evaluations(len(left), self._rounds) for left in self._left.values())

    @property
    def evaluations(self) -> int:
        """The most pairs that may be proposed in all; once it is over, those that were."""
        return self._most if self._round < len(self._rounds) else self.spent

    def propose(self) -> tuple[Pair, ...]:
        """The next pairs of the round that are not known; empty when all is decided."""
        while self._round < len(self._rounds):
            wanted = [
                (request, schedule)
                for request in self._asked(self._round)
                for left in self._left.values()
                for schedule in left
                if request not in self._rewards[schedule]
            ]
            if wanted:
                self.spent += len(wanted[:AT_ONCE])
                return tuple(wanted[:AT_ONCE])
            self._decide()
        return ()

    def observe(self, rewards: Mapping[Pair, float | None]) -> None:
        """Take in the rewards of the proposed pairs; a schedule with one that failed (None) is out."""
        failed = {schedule for (_, schedule), reward in rewards.items() if reward is None}
        self._left = {budget: tuple(s for s in left if s not in failed) for budget, left in self._left.items()}
        for (request, schedule), reward in rewards.items():
            if reward is not None:
                self._rewards[schedule][request] = reward

    def best(self) -> dict[int, Schedule]:
        """Per budget the schedule that stood highest after the last round; the search's own where every one failed."""
        return {budget: (*self._left[budget], chosen)[0] for budget, chosen in self._chosen.items()}

    def _asked(self, number: int) -> dict[int, float]:
        """The requests that whoever is left has been run on by the end of a round, with their weights."""
        return dict(self._everyone[: self._rounds[number][1]])

    def _decide(self) -> None:
        """End the round: the better half of every budget goes on."""
        weights = self._asked(self._round)
        self._round += 1
        keep = self._rounds[self._round][0] if self._round < len(self._rounds) else 1
        self._left = {budget: self._ranked(left, weights)[:keep] for budget, left in self._left.items()}

    def _ranked(self, left: Sequence[Schedule], weights: Mapping[int, float]) -> tuple[Schedule, ...]:
        """The better first, by their rewards on the same requests."""
        if len(left) < 2:
            return tuple(left)
        told = {schedule: {request: self._rewards[schedule][request] for request in weights} for schedule in left}
        standings = Standings(told, weights)
        return tuple(sorted(left, key=lambda schedule: (-standings.of(schedule), schedule)))


def halving(num_schedules: int, num_requests: int) -> list[tuple[int, int]]:
    """Of every round, how many schedules enter it and how many requests they have been run on by its end.

    Every round costs about the same. Without requests there is no round.
    """
    if not num_requests:
        return []
    rounds = max(1, math.ceil(math.log2(num_schedules)))
    sizes = [-(-num_schedules // 2**r) for r in range(rounds)]
    return [(size, -(-num_requests // 2 ** (rounds - 1 - r))) for r, size in enumerate(sizes)]


def most_evaluations(num_schedules: int, rounds: Sequence[tuple[int, int]]) -> int:
    """Bound on the pairs that confirming one budget takes in the rounds of :func:`halving`."""
    total = before = 0
    for size, asked in rounds:
        total += min(num_schedules, size) * (asked - before)
        before = asked
    return total


def start_confirmation(
    memo: RewardMemo,
    version: int,
    jury: Jury,
    chosen: Mapping[int, Schedule],
    rivals: Mapping[int, Sequence[Schedule]],
    seed: int,
) -> Confirmation:
    """Confirm ``chosen``, what a search returned, against the best it measured and the rivals it was told of.

    Args:
        memo: what was measured, of which what is recorded up to ``version`` counts.
    """
    known: dict[Schedule, dict[int, float]] = {}
    for number, request in enumerate(jury.everyone.requests):
        for schedule, breakdown in memo.known(request, version).items():
            known.setdefault(schedule, {})[number] = breakdown.reward
    finalists = {
        budget: _finalists(known, jury, schedule, rivals.get(budget, ())) for budget, schedule in chosen.items()
    }
    for schedules in finalists.values():
        for schedule in schedules:
            known.setdefault(schedule, {})
    return Confirmation(finalists, jury, known, seed)


def _finalists(
    known: Mapping[Schedule, Mapping[int, float]], jury: Jury, chosen: Schedule, rivals: Sequence[Schedule]
) -> tuple[Schedule, ...]:
    """The choice, the best of those measured, and the rivals."""
    weights = dict(enumerate(jury.search.weights))
    judged = {
        schedule: {number: reward for number, reward in rewards.items() if number in weights}
        for schedule, rewards in known.items()
        if schedule.budget == chosen.budget
    }
    judged = {schedule: rewards for schedule, rewards in judged.items() if rewards}
    if chosen not in judged:
        return tuple(dict.fromkeys((chosen, *rivals)))
    standings = Standings(judged, weights)
    top = standings.of(chosen)
    hopeful = [s for s in judged if standings.of(s) + standings.error(s) >= top]
    hopeful.sort(key=lambda schedule: (-standings.of(schedule), schedule))
    return tuple(dict.fromkeys((chosen, *hopeful[: FINALISTS - 1], *rivals)))
