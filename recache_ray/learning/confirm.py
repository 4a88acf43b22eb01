"""Which of the best schedules of a budget is the best, asked of prompts that the search has not seen.

What stands highest after a search stands highest partly by luck on the very prompts it was searched on, and a rival
may have been given up after a few of them. So the few best of every budget, and the rivals that may still be as good,
run on further prompts, by sequential halving: round by round the better half goes on and runs on twice as many. The
last two run on everybody. (Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits".)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from recache_ray.learning.judges import Jury
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.polish import Pair
from recache_ray.learning.standing import Standings
from recache_ray.schedules import Schedule

# Schedules of a budget that are confirmed, rivals apart.
FINALISTS = 6
# Pairs proposed at once, request by request: that many are lost when a run is killed.
AT_ONCE = 500
# A rival that stands this many of its standard errors below the best is not asked about again.
LOST = 3.0


class Confirmation:
    """Ask for pairs with :meth:`propose`, tell their rewards with :meth:`observe`, until nothing is proposed.

    Like the search before it, what it proposes is a pure function of what it was told.

    Args:
        finalists: schedules per budget, the search's own choice first.
        jury: who judges; where nobody is further than the search's judges, the search's choice stands.
        known: rewards of finalists by number of the request among everyone; these cost nothing.
    """

    def __init__(
        self,
        finalists: Mapping[int, Sequence[Schedule]],
        jury: Jury,
        known: Mapping[Schedule, Mapping[int, float]],
    ) -> None:
        self._everyone, self._further = dict(enumerate(jury.everyone.weights)), jury.further
        self._chosen = {budget: schedules[0] for budget, schedules in finalists.items()}
        self._left = {b: tuple(schedules if self._further else schedules[:1]) for b, schedules in finalists.items()}
        self._rewards = {schedule: dict(known[schedule]) for left in self._left.values() for schedule in left}
        self._rounds = halving(max(map(len, self._left.values())), len(self._further))
        self._round = 0
        self.spent = 0
        self._most = sum(
            most_evaluations(len(left), len(jury.search.requests), len(self._further)) for left in self._left.values()
        )

    @property
    def evaluations(self) -> int:
        """The most pairs that may be proposed in all; once it is over, those that were."""
        return self._most if self._round < len(self._rounds) else self.spent

    def propose(self) -> tuple[Pair, ...]:
        """The next pairs of the round that are not known; empty when all is decided."""
        while self._round < len(self._rounds):
            wanted = [
                (request, schedule)
                for request in self._asked()
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
        """Per budget the schedule that stands highest so far; the search's own where every finalist failed."""
        return {budget: (*self._ranked(budget), chosen)[0] for budget, chosen in self._chosen.items()}

    def _asked(self) -> Iterable[int]:
        """Numbers of the requests that whoever is left has to be run on by the end of this round."""
        last = self._round == len(self._rounds) - 1
        return self._everyone if last else self._further[: self._rounds[self._round][1]]

    def _decide(self) -> None:
        """End the round: the better half of every budget goes on."""
        self._round += 1
        keep = self._rounds[self._round][0] if self._round < len(self._rounds) else 1
        self._left = {budget: self._ranked(budget)[:keep] for budget in self._left}

    def _ranked(self, budget: int) -> tuple[Schedule, ...]:
        """Those left, best first; before anything was measured, in the order they came."""
        left = self._left[budget]
        if len(left) < 2:
            return left
        # those that are out still tell how hard a request is
        told = {s: rewards for s, rewards in self._rewards.items() if s.budget == budget and rewards}
        standings = Standings(told, self._everyone)
        return tuple(sorted(left, key=lambda schedule: (-standings.of(schedule), schedule)))


def halving(num_schedules: int, num_further: int) -> list[tuple[int, int]]:
    """Of every round, how many schedules enter it and how many further requests they are run on by its end.

    Every round costs about the same. Without further requests there is no round.
    """
    if not num_further:
        return []
    rounds = max(1, math.ceil(math.log2(num_schedules)))
    sizes = [-(-num_schedules // 2**r) for r in range(rounds)]
    return [(size, -(-num_further // 2 ** (rounds - 1 - r))) for r, size in enumerate(sizes)]


def most_evaluations(num_schedules: int, num_search: int, num_further: int) -> int:
    """Bound on the pairs confirming one budget takes."""
    total = before = 0
    for size, asked in halving(num_schedules, num_further):
        total += size * (asked - before)
        before = asked
    return total + min(2, num_schedules) * num_search if num_further else 0


def start_confirmation(
    memo: RewardMemo,
    version: int,
    jury: Jury,
    chosen: Mapping[int, Schedule],
    rivals: Mapping[int, Sequence[Schedule]],
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
    return Confirmation(finalists, jury, known)


def _finalists(
    known: Mapping[Schedule, Mapping[int, float]], jury: Jury, chosen: Schedule, rivals: Sequence[Schedule]
) -> tuple[Schedule, ...]:
    """The choice, the best of those measured, and the rivals that are not lost."""
    weights = dict(enumerate(jury.search.weights))
    judged = {
        schedule: {number: reward for number, reward in rewards.items() if number in weights}
        for schedule, rewards in known.items()
        if schedule.budget == chosen.budget
    }
    judged = {schedule: rewards for schedule, rewards in judged.items() if rewards}
    if chosen not in judged:
        return (chosen,)
    standings = Standings(judged, weights)
    top = standings.of(chosen)
    hopeful = [s for s in judged if standings.of(s) + standings.error(s) >= top]
    hopeful.sort(key=lambda schedule: (-standings.of(schedule), schedule))
    spared = [s for s in rivals if s in judged and standings.of(s) + LOST * standings.error(s) >= top]
    return tuple(dict.fromkeys((chosen, *hopeful[: FINALISTS - 1], *spared)))
