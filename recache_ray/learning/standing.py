"""How schedules of one budget stand against each other though they were not run on the same requests.

A request is hard or easy for every schedule alike. So what a schedule scored is compared with what is usual on the very
requests it was run on: v(S, r) = a(S) + u(r) + noise, with v the reward, or minus the logarithm of a cost. A two-way
layout with gaps, fitted by turns.

No request counts more than :data:`CAP` times what the typical one does, and none of its costs more than as many times
what is usual (a winsorised mean). At large budgets one picture in a few hundred tips over and costs a thousand times
what the others do. Which schedule tips which picture does not carry over to other pictures, so a mean that such
pictures decide would choose the schedules that were lucky with them.

Shapes: M schedules begun, R requests.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from recache_ray.learning.log_domain import are_costs, log_domain
from recache_ray.schedules import Schedule

CAP = 30.0
_TURNS = 10


@dataclass(frozen=True)
class Standing:
    """Where a schedule stands among those of its budget.

    Attributes:
        value: higher is better, see :meth:`Standings.of`.
        error: its standard error.
        elsewhere: whether it is known from requests only that do not count in the mean.
    """

    schedule: Schedule
    value: float
    error: float
    elsewhere: bool = False


class Standings:
    """What was measured at one budget, made comparable.

    Args:
        rewards: of each schedule [M], by request; none leaves the order to the weights.
        weights: of the requests [R] in the mean that is asked for.

    Attributes:
        shares: how much each request moves the mean, together 1. For costs the hard ones move it most; for other
            rewards each does by its weight alone.
    """

    def __init__(self, rewards: Mapping[Schedule, Mapping[int, float]], weights: Mapping[int, float]) -> None:
        rows = [(schedule, request, reward) for schedule, by in rewards.items() for request, reward in by.items()]
        measured = [reward for *_, reward in rows]
        self._costs = bool(measured) and are_costs(measured)
        self._values: dict[Schedule, dict[int, float]] = defaultdict(dict)
        for (schedule, request, _), value in zip(rows, log_domain(measured), strict=True):
            self._values[schedule][request] = value
        usual = self._usual()
        middle = _weighted_median(usual, weights) if usual else 0.0
        if self._costs:
            for values in self._values.values():
                for request, value in values.items():
                    values[request] = max(value, min(middle, usual[request]) - math.log(CAP))
        self._usual_R = {request: usual.get(request, middle) for request in weights}
        self._share_R = {
            request: weight * (min(CAP, math.exp(middle - self._usual_R[request])) if self._costs else 1.0)
            for request, weight in weights.items()
        }
        total = math.fsum(self._share_R.values())
        self.shares: Mapping[int, float] = {request: share / total for request, share in self._share_R.items()}
        self._spread = self._noise()

    def of(self, schedule: Schedule) -> float:
        """Its mean against the usual one, higher is better; for costs minus the logarithm of their ratio."""
        found = self._above_usual(schedule)
        total = math.fsum(self._share_R[request] for request in found)
        if self._costs:
            return -math.log(math.fsum(self._share_R[r] * math.exp(-above) for r, above in found.items()) / total)
        return math.fsum(self._share_R[request] * above for request, above in found.items()) / total

    def error(self, schedule: Schedule) -> float:
        """Standard error of :meth:`of`, from how far the requests of any schedule disagree about it.

        It is about the requests that are weighted, so it is 0 for a schedule that was run on all of them.
        """
        found = self._above_usual(schedule)
        known = math.fsum(self.shares[request] for request in found)
        more = (1.0 - known) / known
        squares = [(share * more) ** 2 if request in found else share**2 for request, share in self.shares.items()]
        return self._spread * math.sqrt(math.fsum(squares))

    def everyone(self, elsewhere: bool = False) -> list[Standing]:
        """All that were measured, marked as known from ``elsewhere`` or not."""
        return [Standing(s, self.of(s), self.error(s), elsewhere) for s in self._values if self._above_usual(s)]

    def _usual(self) -> dict[int, float]:
        """u(r): what is usual on each request measured, the schedules' own effects taken off."""
        own: dict[Schedule, float] = dict.fromkeys(self._values, 0.0)
        usual: dict[int, float] = {}
        for _ in range(_TURNS):
            by_request: dict[int, list[float]] = defaultdict(list)
            for schedule, values in self._values.items():
                for request, value in values.items():
                    by_request[request].append(value - own[schedule])
            usual = {request: fmean(values) for request, values in by_request.items()}
            own = {s: fmean(v - usual[r] for r, v in values.items()) for s, values in self._values.items()}
        return usual

    def _above_usual(self, schedule: Schedule) -> dict[int, float]:
        values = self._values[schedule]
        return {r: value - self._usual_R[r] for r, value in values.items() if r in self._usual_R}

    def _noise(self) -> float:
        """Root mean square of what neither schedule nor request explains.

        Where no schedule ran on two requests, what seems its own may all be noise.
        """
        each = [list(found.values()) for found in map(self._above_usual, self._values) if found]
        groups = [found for found in each if len(found) > 1] or [[above for found in each for above in found]]
        squares = [(above - fmean(found)) ** 2 for found in groups for above in found]
        return math.sqrt(fmean(squares)) if squares else 0.0


def _weighted_median(values: Mapping[int, float], weights: Mapping[int, float]) -> float:
    """The value of the request in the middle of the weights; of those weighted, or of all where none is."""
    weighed = sorted((value, weights.get(request, 0.0)) for request, value in values.items())
    half = math.fsum(weight for _, weight in weighed) / 2
    passed = 0.0
    for value, weight in weighed:
        passed += weight
        if passed >= half:
            return value
    return weighed[-1][0]
