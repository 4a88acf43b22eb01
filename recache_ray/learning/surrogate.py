"""A regression over the schedules measured so far, which tells the local search what is worth measuring next.

A Gaussian process on schedules. Two are alike when they have similar *segments* (pairs of consecutive computed steps:
each cached stretch adds its own error) and when they have spent similar numbers of computed steps at every moment. What
is learned at one budget carries over to neighbouring ones.

    k(S, S') = v_e s(S, S') (h + (1 - h) b) + v_c exp(-|c(S) - c(S')|^2 / 2 l^2) b + v_p p(S) p(S')
               + v_b b + v_0 + v_r [S = S']

with b = exp(-(ln k - ln k')^2 / 2 l_b^2) between budgets, s the shared segments (a mixture of how many are equal and of
how far smooth histograms over (start / T, end / T) overlap), c the cumulative count of computed steps, p the predicted
cost where there is one (:mod:`recache_ray.learning.prior`): its logarithm against that of the budget's other schedules.
The standings say how far it is to be believed, since the kernel is that of a line of unknown slope. One observation
is what all rewards of one schedule say together (:mod:`recache_ray.learning.standing`), with the error that comes of
not having run it on every request; so each schedule measured costs one row, however many requests judged it. Schedules
known from other requests only share an offset of their own, v_a b, since these requests had other rivals.

Shapes: U schedules fitted, S schedules asked about, G nodes.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from recache_ray.learning.prior import PredictedCost
from recache_ray.learning.standing import Standing
from recache_ray.schedules import Schedule

MAX_FITTED = 1200
"""Schedules in all, since fitting takes their number cubed."""

MAX_GRID = 20
CHOOSE_ON = 400


@dataclass(frozen=True)
class Variances:
    """The kernel's variances, in units of the spread of the schedules within a budget.

    ``sharpness`` is the share of a segment's variance that does not carry over to similar segments.
    """

    segments: float
    occupancy: float
    schedule_own: float
    sharpness: float


FIRST_GUESS = Variances(0.1, 0.16, 0.05, 0.3)
# One line of settings after the other is searched, each from the best of the lines before.
SETTINGS: tuple[tuple[dict[str, float], ...], ...] = (
    tuple(
        {"segments": segments, "occupancy": 1.6 * segments, "schedule_own": own}
        for segments in (0.03, 0.1, 0.3, 1.0)
        for own in (0.01, 0.05, 0.2)
    ),
    tuple({"sharpness": sharpness} for sharpness in (0.0, 0.3, 0.8)),
    tuple({"occupancy": occupancy, "schedule_own": own} for occupancy in (0.15, 0.5, 1.5) for own in (0.01, 0.05, 0.2)),
)
_BUDGET, _CONSTANT, _ELSEWHERE, _PREDICTED = 2.0, 1.0, 1.0, 0.3
_TAIL = 2.0
_FAR = 3.0
_LEAST_NOISE = 1e-3
_BUDGET_WIDTH, _SHARED_SEGMENTS, _OCCUPANCY_WIDTH = 0.4, 0.3, 2.0


class RewardSurrogate:
    """Predicts how a schedule stands among those of its budget, with its uncertainty.

    Attributes:
        schedules: the distinct schedules it was fitted on [U].
        log_likelihood: of the standings under these variances, up to a constant.
    """

    def __init__(self, data: _Data, variances: Variances) -> None:
        self.schedules, self.variances = data.schedules, variances
        self._data = data
        kernel_UU = data.alike_UU.kernel(variances) + data.elsewhere_UU
        kernel_UU.diagonal().add_(data.noise_U)
        self._factor_UU = torch.linalg.cholesky(kernel_UU)
        self._weights_U = torch.cholesky_solve(data.target_U[:, None], self._factor_UU)[:, 0]
        self.log_likelihood = float(-0.5 * data.target_U @ self._weights_U - self._factor_UU.diagonal().log().sum())

    def predict(self, schedules: Sequence[Schedule]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [S] of where schedules stand, in each budget's own scale."""
        asked = self._data.features_of(schedules)
        covariance_SU = _Likeness.between(asked, self._data.features).kernel(self.variances)
        explained_US = torch.linalg.solve_triangular(self._factor_UU, covariance_SU.T, upper=False)
        smooth_S = (asked.segments_SG**2).sum(-1)
        shared_S = torch.lerp(smooth_S, asked.budget_S, self.variances.sharpness)
        prior_S = self.variances.segments * shared_S + self.variances.occupancy + _BUDGET + _CONSTANT
        prior_S = prior_S + self.variances.schedule_own + _PREDICTED * asked.predicted_S**2
        deviation_S = (prior_S - (explained_US**2).sum(0)).clamp(min=1e-9).sqrt()
        return covariance_SU @ self._weights_U, deviation_S

    def fitted(self) -> Tensor:
        """Prediction [U] for each of :attr:`schedules`."""
        return self._data.alike_UU.kernel(self.variances) @ self._weights_U


def fit_surrogate(
    standings: Sequence[Standing], variances: Variances | None = None, predicted_cost: PredictedCost | None = None
) -> RewardSurrogate:
    """Fit with the given variances, or with those of :data:`SETTINGS` under which the standings are likeliest.

    Where there are more than :data:`MAX_FITTED`, those known most precisely are taken, as many of every budget.
    """
    chosen = _most_precise(standings)
    return RewardSurrogate(_Data(chosen, predicted_cost), variances or likeliest_variances(chosen, predicted_cost))


def likeliest_variances(standings: Sequence[Standing], predicted_cost: PredictedCost | None = None) -> Variances:
    """The best found in :data:`SETTINGS` by marginal likelihood, on an even selection of the standings."""
    data = _Data(standings[:: -(-len(standings) // CHOOSE_ON)], predicted_cost)
    best = FIRST_GUESS
    for line in SETTINGS:
        tried = (replace(best, **changes) for changes in line)
        best = max(tried, key=lambda variances: RewardSurrogate(data, variances).log_likelihood)
    return best


def _most_precise(standings: Sequence[Standing]) -> list[Standing]:
    by_budget: dict[int, list[Standing]] = defaultdict(list)
    for standing in standings:
        by_budget[standing.schedule.budget].append(standing)
    each = max(1, MAX_FITTED // max(1, len(by_budget)))
    return [
        standing
        for here in by_budget.values()
        for standing in sorted(here, key=lambda found: (found.elsewhere, found.error, -found.value))[:each]
    ]


class _Data:
    """The standings in the form every fit on them shares."""

    def __init__(self, standings: Sequence[Standing], predicted_cost: PredictedCost | None) -> None:
        self.schedules = tuple(standing.schedule for standing in standings)
        self._predicted_cost = predicted_cost
        self._cost_scales: Mapping[int, tuple[float, float]] = {}
        if predicted_cost is not None:
            self._cost_scales = _budget_scales((each.budget, math.log(predicted_cost(each))) for each in self.schedules)
        self.features = self.features_of(self.schedules)
        self.alike_UU = _Likeness.between(self.features, self.features)
        scales = _budget_scales((standing.schedule.budget, standing.value) for standing in standings)
        scaled = [(standing, *scales[standing.schedule.budget]) for standing in standings]
        targets = [_standardised(standing.value, centre, spread) for standing, centre, spread in scaled]
        noise = [(standing.error / spread) ** 2 + _LEAST_NOISE for standing, _, spread in scaled]
        self.target_U = torch.tensor(targets, dtype=torch.float64)
        self.noise_U = torch.tensor(noise, dtype=torch.float64)
        elsewhere_U = torch.tensor([standing.elsewhere for standing in standings], dtype=torch.float64)
        self.elsewhere_UU = _ELSEWHERE * elsewhere_U[:, None] * elsewhere_U * self.alike_UU.budgets

    def features_of(self, schedules: Sequence[Schedule]) -> _Features:
        """Of any schedules, their predicted costs on the scale of those fitted."""
        predicted = [self._predicted(schedule) for schedule in schedules]
        return _Features.of(schedules, torch.tensor(predicted, dtype=torch.float64))

    def _predicted(self, schedule: Schedule) -> float:
        if self._predicted_cost is None or schedule.budget not in self._cost_scales:
            return 0.0
        centre, spread = self._cost_scales[schedule.budget]
        distance = (centre - math.log(self._predicted_cost(schedule))) / spread
        return max(-_FAR, min(_FAR, distance))


def _budget_scales(pairs: Iterable[tuple[int, float]]) -> dict[int, tuple[float, float]]:
    """Median and spread of the values of each budget; a budget without spread takes the others' median spread."""
    values: dict[int, list[float]] = defaultdict(list)
    for budget, value in pairs:
        values[budget].append(value)
    spreads = {budget: statistics.pstdev(found) for budget, found in values.items()}
    usual = statistics.median([spread for spread in spreads.values() if spread > 0.0] or [1.0])
    return {budget: (statistics.median(found), spreads[budget] or usual) for budget, found in values.items()}


def _standardised(value: float, centre: float, spread: float) -> float:
    """Distance from the budget's median in spreads; the tail of hopeless schedules is pulled in logarithmically."""
    distance = (value - centre) / spread
    return distance if distance > -_TAIL else -_TAIL - math.log1p(-_TAIL - distance)


@dataclass(frozen=True)
class _Features:
    """What the kernel sees of each schedule.

    Cumulative counts [S, T], segments as a smooth histogram [S, G * G] and as a list over all schedules [sum of
    budgets] of i (T + 1) + j, budget [S], predicted cost [S] in spreads below the budget's median, 0 without one.
    """

    counts_ST: Tensor
    edges: Tensor
    segments_SG: Tensor
    budget_S: Tensor
    predicted_S: Tensor

    @classmethod
    def of(cls, schedules: Sequence[Schedule], predicted_S: Tensor) -> _Features:
        num_steps = schedules[0].num_steps
        budget_S = torch.tensor([schedule.budget for schedule in schedules])
        owner = torch.repeat_interleave(torch.arange(len(schedules)), budget_S)
        start = torch.tensor([step for schedule in schedules for step in schedule.compute_steps])
        end = torch.tensor([step for schedule in schedules for step in (*schedule.compute_steps[1:], num_steps)])
        mask_ST = torch.zeros(len(schedules), num_steps, dtype=torch.float64)
        mask_ST[owner, start] = 1.0
        bumps_TG = _bumps(num_steps)
        outer = bumps_TG[start][:, :, None] * bumps_TG[end][:, None, :]
        segments_SG = torch.zeros(len(schedules), outer[0].numel(), dtype=torch.float64)
        segments_SG.index_add_(0, owner, outer.flatten(1))
        edges = start * (num_steps + 1) + end
        return cls(mask_ST.cumsum(1), edges, segments_SG, budget_S.double(), predicted_S)

    def shared_edges(self, other: _Features) -> Tensor:
        """How many segments two schedules have in common, exactly [S, U]."""
        num_steps = self.counts_ST.shape[1]
        present = torch.zeros(num_steps * (num_steps + 1), len(other.budget_S), dtype=torch.float64)
        present[other.edges, torch.repeat_interleave(torch.arange(len(other.budget_S)), other.budget_S.long())] = 1.0
        first = self.budget_S.long().cumsum(0) - self.budget_S.long()
        return torch.nn.functional.embedding_bag(self.edges, present, first, mode="sum")


@dataclass(frozen=True)
class _Likeness:
    """How alike two sets of schedules are, each [S, U].

    Segments, smooth and exact; occupancy, budgets, equality, predicted costs.
    """

    smooth: Tensor
    exact: Tensor
    occupancy: Tensor
    budgets: Tensor
    equal: Tensor
    predicted: Tensor

    @classmethod
    def between(cls, left: _Features, right: _Features) -> _Likeness:
        log_ratio = left.budget_S.log()[:, None] - right.budget_S.log()
        budgets = torch.exp(-(log_ratio**2) / (2 * _BUDGET_WIDTH**2))
        carried = _SHARED_SEGMENTS + (1 - _SHARED_SEGMENTS) * budgets
        smooth, exact = left.segments_SG @ right.segments_SG.T * carried, left.shared_edges(right) * carried
        squared = (left.counts_ST**2).sum(-1)[:, None] + (right.counts_ST**2).sum(-1)
        distance = squared - 2 * left.counts_ST @ right.counts_ST.T  # whole numbers, exact in float64
        width = _OCCUPANCY_WIDTH**2 * left.counts_ST.shape[1] / 16
        predicted = left.predicted_S[:, None] * right.predicted_S
        return cls(smooth, exact, torch.exp(-distance / (2 * width)) * budgets, budgets, distance == 0, predicted)

    def kernel(self, variances: Variances) -> Tensor:
        segments = torch.lerp(self.smooth, self.exact, variances.sharpness)
        kernel = variances.segments * segments + variances.occupancy * self.occupancy + _BUDGET * self.budgets
        return kernel + variances.schedule_own * self.equal + _PREDICTED * self.predicted + _CONSTANT


@lru_cache(maxsize=8)
def _bumps(num_steps: int) -> Tensor:
    """Every step as a Gaussian bump, one node wide, over a grid of relative positions [T + 1, G]; rows of norm 1."""
    nodes = min(num_steps, MAX_GRID)
    step_T = torch.arange(num_steps + 1, dtype=torch.float64) * nodes / num_steps
    distance_TG = step_T[:, None] - torch.arange(nodes + 1, dtype=torch.float64)
    bumps_TG = torch.exp(-(distance_TG**2) / 2)
    return bumps_TG / bumps_TG.norm(dim=-1, keepdim=True)
