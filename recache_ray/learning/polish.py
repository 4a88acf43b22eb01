"""Local search per budget on the validation prompts, guided by a surrogate and by every reward already measured.

Each round proposes, for every budget, the few schedules that may beat the best one most, each on a few prompts it has
not been run on; a schedule that disappoints there is never completed (a race, the surrogate being the judge). The last
evaluations complete the best of those that were begun (:mod:`recache_ray.learning.standing` says which), without hoping
for better ones: what is returned must have been judged on every prompt. What it proposes is a pure function of what it
was told, so a resumed run replays finished rounds from the reward memo.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from recache_ray.learning import moves
from recache_ray.learning.evidence import Evidence, Measurement, Pair
from recache_ray.learning.prior import Prior
from recache_ray.learning.surrogate import RewardSurrogate, fit_surrogate
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule, num_schedules
from recache_ray.seeding import derive_seed

# Rounds a search is spread over: fewer are cheaper to wait for on a large cluster, more let the surrogate learn.
ROUNDS = 40
ENUMERATE_UP_TO = 500
# Schedules of a budget that the surrogate is asked about in a round, before it climbs.
MAX_CANDIDATES = 300
REFIT_EVERY = 5
# Requests a schedule is run on at a time, at most and up to a quarter of all.
REQUESTS_EACH = 10
OPTIMISM = 0.3
# Share of the evaluations that is kept for completing the best schedules begun.
FINAL_SHARE = 0.4
PEAKS = 3
CLIMBS = 2
JUMPS = 8


class LocalSearch:
    """Ask for pairs with :meth:`propose`, tell their rewards with :meth:`observe`, until nothing is proposed.

    Args:
        starts: schedules to begin from per budget, the policy's mode first; all budgets to search. The mode is judged
            on every request at once, the others where the surrogate thinks them promising.
        weights: of the requests in the mean reward that is maximised; without them all count the same.
        prior: its rivals are tried in the first round, each on a share of the requests, so that the surrogate knows
            their surroundings; its predicted cost is what the surrogate expects of schedules unlike those measured.
        requests: numbers of the validation requests a schedule is judged on.
        measured: rewards known beforehand, on validation or other requests; these cost nothing.
        evaluations: bound on the pairs ever proposed.
        seed: of the random moves.
    """

    def __init__(
        self,
        starts: Mapping[int, Sequence[Schedule]],
        requests: Sequence[int],
        measured: Iterable[Measurement],
        evaluations: int,
        seed: int,
        prior: Prior | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.starts = {budget: tuple(dict.fromkeys(starts[budget])) for budget in sorted(starts)}
        self.requests = tuple(requests)
        equal = [1.0 / len(self.requests)] * len(self.requests)
        self.weights = dict(zip(self.requests, weights or equal, strict=True))
        self.evaluations = evaluations
        self.spent = 0
        self._seed = seed
        self._round = 0
        prior = prior or Prior()
        self._rivals = {budget: tuple(prior.rivals.get(budget, ())) for budget in self.starts}
        self._predicted_cost = prior.predicted_cost
        self._surrogate: RewardSurrogate | None = None
        self._per_round = max(len(self.starts), -(-evaluations // ROUNDS))
        self._requests_each = max(1, min(len(self.requests) // 4, REQUESTS_EACH))
        self._evidence = Evidence(tuple(self.starts), self.weights, measured, self._requests_each)

    def propose(self) -> tuple[Pair, ...]:
        """The pairs of the next round, none of them ever measured or proposed before; empty when the search is over."""
        left = self.evaluations - self.spent
        self._round += 1
        wanted: list[Pair] = []
        if self._round == 1:
            wanted = self._recommended()
        if not wanted and left > 0 and self._evidence:
            final = left <= FINAL_SHARE * self.evaluations
            wanted = (self._finalists() if final else []) or self._promising()
        wanted = wanted[:left]
        self.spent += len(wanted)
        return tuple(wanted)

    def observe(self, rewards: Mapping[Pair, float | None]) -> None:
        """Take in the rewards of the proposed pairs; None marks one that failed, and its schedule is given up."""
        self._evidence.observe(rewards)

    def best(self) -> dict[int, Schedule]:
        """Per budget the schedule that stands highest of those run on all validation requests; else the mode."""
        return {budget: self._evidence.best(budget) or starts[0] for budget, starts in self.starts.items()}

    def mean_reward(self) -> float:
        """Mean over budgets of the best schedules' mean rewards; NaN while there is none."""
        means = [self._evidence.mean(best) for best in map(self._evidence.best, self.starts) if best is not None]
        return fmean(means) if means else float("nan")

    def _recommended(self) -> list[Pair]:
        """Every budget's mode on all requests, then its rivals on a few."""
        modes = [
            (request, starts[0]) for starts in self.starts.values() for request in self._evidence.lacking(starts[0])
        ]
        tried = [(r, s) for rivals in self._rivals.values() for s in rivals for r in self._evidence.next_requests(s)]
        return list(dict.fromkeys((*modes, *tried)))

    def _finalists(self) -> list[Pair]:
        """For every budget, the best of the schedules begun, on the next of their requests; nothing once all are done.

        What was measured decides here, not the surrogate. Only those count that may still beat the best completed one:
        within one standard error of it.
        """
        hopes: dict[Schedule, float] = {}
        for budget, best in self.best().items():
            standings = self._evidence.standings(budget)
            for schedule in self._evidence.measured(budget):
                if self._evidence.is_open(schedule):
                    hope = standings.of(schedule)
                    if self._evidence.lacking(best) or hope + standings.error(schedule) > standings.of(best):
                        hopes[schedule] = hope
        return self._next_requests(hopes)

    def _next_requests(self, hopes: Mapping[Schedule, float]) -> list[Pair]:
        """For every budget, the schedules of highest hope, each on the next few of its requests."""
        chosen_each = max(1, self._per_round // (len(self.starts) * self._requests_each))
        return [
            (request, schedule)
            for budget in self.starts
            for schedule in _highest(hopes, budget, chosen_each)
            for request in self._evidence.next_requests(schedule)
        ]

    def _promising(self) -> list[Pair]:
        """For every budget, the candidates of highest optimistic prediction, each on its next few requests."""
        generator = random.Random(derive_seed("polish", self._seed, self._round))
        surrogate = self._fitted()
        candidates = self._neighbourhood(self._centres(surrogate), generator)
        hopes = self._hopes(surrogate, candidates)
        for _ in range(CLIMBS):
            # Climb on the surrogate: look around the most hopeful candidates too, without measuring them.
            peaks = {budget: _highest(hopes, budget, PEAKS) for budget in self.starts}
            around = {s for schedules in peaks.values() for peak in schedules for s in moves.relocations(peak)}
            fresh = sorted(s for s in around if s not in hopes and self._evidence.is_open(s))
            hopes |= self._hopes(surrogate, _sampled(fresh, len(self.starts) * MAX_CANDIDATES // 2, generator))
        wanted = self._next_requests(hopes)
        generator.shuffle(wanted)
        return wanted

    def _hopes(self, surrogate: RewardSurrogate, candidates: Sequence[Schedule]) -> dict[Schedule, float]:
        if not candidates:
            return {}
        mean_S, deviation_S = surrogate.predict(candidates)
        return dict(zip(candidates, (mean_S + OPTIMISM * deviation_S).tolist(), strict=True))

    def _centres(self, surrogate: RewardSurrogate) -> dict[int, list[Schedule]]:
        """Per budget the best schedule and those measured that the surrogate thinks best."""
        centres = {budget: [schedule] for budget, schedule in self.best().items()}
        for index in surrogate.fitted().argsort(descending=True, stable=True).tolist():
            schedule = surrogate.schedules[index]
            near = centres[schedule.budget]
            if len(near) < 1 + PEAKS and schedule not in near and not self._evidence.failed(schedule):
                near.append(schedule)
        return centres

    def _neighbourhood(self, centres: Mapping[int, Sequence[Schedule]], generator: random.Random) -> list[Schedule]:
        candidates: dict[Schedule, None] = {}
        for budget, near in centres.items():
            num_steps = near[0].num_steps
            if num_schedules(num_steps, budget) <= ENUMERATE_UP_TO:
                found = list(every_schedule(num_steps, budget))
            else:
                found = [*near, *self.starts[budget], *self._rivals[budget]]
                found += [move for centre in near for move in moves.relocations(centre)]
                found += [jump for centre in near for jump in moves.random_jumps(centre, JUMPS, generator)]
                found += moves.crossovers(self._parents(budget, centres), budget)
                if budget + 1 in centres:
                    found += moves.removals(centres[budget + 1][0])
                if budget - 1 in centres:
                    found += moves.additions(centres[budget - 1][0])
            begun = [schedule for schedule in near if self._evidence.is_open(schedule)]
            fresh = [schedule for schedule in dict.fromkeys(found) if self._evidence.is_open(schedule)]
            candidates |= dict.fromkeys((*begun, *_sampled(fresh, MAX_CANDIDATES, generator)))
        return list(candidates)

    def _parents(self, budget: int, centres: Mapping[int, Sequence[Schedule]]) -> list[Schedule]:
        """What is worth joining: the good schedules and the rivals of a budget, and the best and the rivals beside."""
        beside = [other for other in (budget - 1, budget + 1) if other in centres]
        found = [*centres[budget], *self._rivals[budget]]
        found += [parent for other in beside for parent in (centres[other][0], *self._rivals[other])]
        return list(dict.fromkeys(found))

    def _fitted(self) -> RewardSurrogate:
        """The surrogate on everything measured, its variances chosen anew every few rounds."""
        everything = [standing for budget in self.starts for standing in self._evidence.everyone(budget)]
        keep = self._surrogate is not None and self._round % REFIT_EVERY
        variances = self._surrogate.variances if keep and self._surrogate else None
        self._surrogate = fit_surrogate(everything, variances, self._predicted_cost)
        return self._surrogate


def _highest(hopes: Mapping[Schedule, float], budget: int, num: int) -> list[Schedule]:
    """The ``num`` most hopeful schedules of a budget; ties go to the smaller schedule."""
    chosen = sorted((-hope, schedule) for schedule, hope in hopes.items() if schedule.budget == budget)
    return [schedule for _, schedule in chosen[:num]]


def _sampled(schedules: list[Schedule], num: int, generator: random.Random) -> list[Schedule]:
    return generator.sample(schedules, num) if len(schedules) > num else schedules
