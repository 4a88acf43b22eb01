"""Which of the best schedules of a budget is the best, asked of prompts that the search has not seen.

What stands highest after a search stands highest partly by luck on the very prompts it was searched on, and a rival
may have been given up after a few of them. So the few best of every budget and all rivals run on prompts that are new
to them, by sequential halving: round by round the better half goes on and runs on twice as many. The last two run on
all of them. (Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits".) The prompts searched
on have no say again: they are for what was searched on them, by far more than for a rival as good.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from recache_ray.learning.evidence import Pair
from recache_ray.learning.judges import Judges, Jury
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.standing import Standings
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed

# Schedules of a budget that are confirmed, rivals apart. Those that differ by one step only come last: they fail on the
# same prompts, so choosing between them gains little.
FINALISTS = 8
# Pairs proposed at once, request by request: that many are lost when a run is killed.
AT_ONCE = 500


class Confirmation:
    """Ask for pairs with :meth:`propose`, tell their rewards with :meth:`observe`, until nothing is proposed.

    Like the search before it, what it proposes is a pure function of what it was told.

    Args:
        finalists: schedules per budget, the search's own choice first.
        judges: who confirms; where nobody does, the search's choice stands.
        known: rewards of finalists by number of the request among the judges; these cost nothing.
        seed: of the order in which judges that weigh the same are asked.
    """

    def __init__(
        self,
        finalists: Mapping[int, Sequence[Schedule]],
        judges: Judges,
        known: Mapping[Schedule, Mapping[int, float]],
        seed: int,
    ) -> None:
        size = len(judges.requests)
        self._chosen = {budget: schedules[0] for budget, schedules in finalists.items()}
        self._left = {b: tuple(schedules if size else schedules[:1]) for b, schedules in finalists.items()}
        self._rounds = halving(max(map(len, self._left.values())), size)
        self._judges = _in_order(judges, self._rounds[0][1] if self._rounds else 1, seed)
        self._rewards = {schedule: dict(known[schedule]) for left in self._left.values() for schedule in left}
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
        return dict(self._judges[: self._rounds[number][1]])

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


def _in_order(judges: Judges, at_first: int, seed: int) -> list[tuple[int, float]]:
    """Numbers and weights of the judges; ``at_first`` of them at a time reach from the hard ones to the easy ones.

    A hard judge was likelier to be drawn and so has less weight.
    """
    numbered = list(enumerate(judges.weights))
    random.Random(derive_seed("confirm", seed)).shuffle(numbered)
    numbered.sort(key=lambda judge: judge[1])
    turns = -(-len(numbered) // at_first)
    return [judge for first in range(turns) for judge in numbered[first::turns]]


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
    searched, known = _known(memo, jury.search, version), _known(memo, jury.confirming, version)
    finalists = {
        budget: _finalists(searched, jury.search, schedule, rivals.get(budget, ()))
        for budget, schedule in chosen.items()
    }
    entering = {schedule for schedules in finalists.values() for schedule in schedules}
    return Confirmation(finalists, jury.confirming, {s: known.get(s, {}) for s in entering}, seed)


def _known(memo: RewardMemo, judges: Judges, version: int) -> dict[Schedule, dict[int, float]]:
    """Rewards by schedule and number of the judge."""
    known: dict[Schedule, dict[int, float]] = {}
    for number, request in enumerate(judges.requests):
        for schedule, breakdown in memo.known(request, version).items():
            known.setdefault(schedule, {})[number] = breakdown.reward
    return known


def _finalists(
    searched: Mapping[Schedule, Mapping[int, float]], judges: Judges, chosen: Schedule, rivals: Sequence[Schedule]
) -> tuple[Schedule, ...]:
    """The choice, the best of those measured, less their standard errors, and the rivals."""
    measured = {schedule: rewards for schedule, rewards in searched.items() if schedule.budget == chosen.budget}
    if chosen not in measured:
        return tuple(dict.fromkeys((chosen, *rivals)))
    standings = Standings(measured, dict(enumerate(judges.weights)))
    surely = {schedule: standings.of(schedule) - standings.error(schedule) for schedule in measured}
    ranked = sorted((s for s in measured if s != chosen), key=lambda schedule: (-surely[schedule], schedule))
    ranked = ranked[: 2 * FINALISTS]
    apart: list[Schedule] = [chosen]
    for schedule in ranked:
        if all(_moved(schedule, other) > 1 for other in apart):
            apart.append(schedule)
    return tuple(dict.fromkeys((*[*apart, *ranked][:FINALISTS], *rivals)))


def _moved(schedule: Schedule, other: Schedule) -> int:
    """How many computed steps lie elsewhere."""
    return len(set(schedule.compute_steps) - set(other.compute_steps))
