"""A regression over the rewards measured so far, which tells the local search what is worth measuring next.

A Gaussian process on (schedule, request) pairs. Two schedules are alike when they have similar *segments* (pairs of
consecutive computed steps: each cached stretch adds its own error) and when they have spent similar numbers of
computed steps at every moment. What is learned at one budget carries over to neighbouring ones.

    k(S, S') = [v_e s(S, S') (h + (1 - h) b) + v_c exp(-|c(S) - c(S')|^2 / 2 l^2) b + v_b b + v_0]
    k((S, p), (S', p')) = k(S, S') (1 + v_d [p = p']) + v_p b [p = p'] + v_r [S = S'] + v_n [S = S', p = p']

with b = exp(-(ln k - ln k')^2 / 2 l_b^2) between budgets, s the shared segments (a mixture of how many are equal and of
how far smooth histograms over (start / T, end / T) overlap), c the cumulative count of computed steps. Rewards enter
standardised per budget, those that are costs with a minus sign as logarithms.

The mean over requests of rewards -c_p moves, to first order, like the mean of -ln c_p weighted by each request's share
in the sum of the costs; so hard requests weigh more, and these shares are taken from the measurements of each budget.
Where the mean itself is weighted, its weights multiply them.

Shapes: P requests asked about, N measured pairs, U distinct schedules among them, S schedules asked about, G nodes.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from recache_ray.learning.log_domain import are_costs, log_domain
from recache_ray.schedules import Schedule

MAX_GRID = 20
CHOOSE_ON = 400


@dataclass(frozen=True)
class Measurement:
    """One measured reward; ``request`` numbers prompt and seed."""

    schedule: Schedule
    request: int
    reward: float


@dataclass(frozen=True)
class Variances:
    """The kernel's variances, in units of the spread of rewards within a budget.

    ``sharpness`` is the share of a segment's variance that does not carry over to similar segments, ``own_request``
    the variance of a schedule's effect that is particular to a request, relative to what all requests share.
    """

    segments: float
    occupancy: float
    schedule_own: float
    noise: float
    sharpness: float
    own_request: float


FIRST_GUESS = Variances(0.3, 0.48, 0.05, 0.02, 0.3, 0.4)
# One line of settings after the other is searched, each from the best of the lines before.
SETTINGS: tuple[tuple[dict[str, float], ...], ...] = (
    tuple(
        {"segments": segments, "occupancy": 1.6 * segments, "schedule_own": own, "noise": noise}
        for segments in (0.1, 0.3, 1.0)
        for own, noise in ((0.01, 0.01), (0.05, 0.02), (0.1, 0.1))
    ),
    tuple({"sharpness": sharpness} for sharpness in (0.0, 0.3, 0.8)),
    tuple({"own_request": share} for share in (0.15, 0.4, 1.0)),
)
_BUDGET, _CONSTANT, _REQUEST = 2.0, 1.0, 0.3
_TAIL = 2.0
_PRIOR_ROWS = 2.0
_BUDGET_WIDTH, _SHARED_SEGMENTS, _OCCUPANCY_WIDTH = 0.4, 0.3, 2.0


class RewardSurrogate:
    """Predicts the mean reward of a schedule over some requests, with its uncertainty.

    Attributes:
        schedules: the distinct schedules it was fitted on.
        log_likelihood: of the measurements under these variances, up to a constant.
    """

    def __init__(self, data: _Data, variances: Variances) -> None:
        self.schedules, self.variances = data.schedules, variances
        self._data = data
        kernel_NN = data.alike_UU.kernel(variances)[data.pairs] * (1 + variances.own_request * data.same_request_NN)
        kernel_NN += _REQUEST * data.alike_UU.budgets[data.pairs] * data.same_request_NN
        kernel_NN += variances.schedule_own * (data.pairs[0] == data.pairs[1])
        kernel_NN.diagonal().add_(variances.noise)
        self._factor_NN = torch.linalg.cholesky(kernel_NN)
        self._weights_N = torch.cholesky_solve(data.target_N[:, None], self._factor_NN)[:, 0]
        self.log_likelihood = float(-0.5 * data.target_N @ self._weights_N - self._factor_NN.diagonal().log().sum())

    def predict(self, schedules: Sequence[Schedule], requests: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [S] of the reward over ``requests``, in each budget's own scale."""
        asked = _Features.of(schedules)
        weight_SP = self._weights(asked, requests)
        covariance_SN = self._covariance(
            _Likeness.between(asked, self._data.features), self._shares(weight_SP, requests)
        )
        explained_NS = torch.linalg.solve_triangular(self._factor_NN, covariance_SN.T, upper=False)
        smooth_S = (asked.segments_SG**2).sum(-1)
        shared_S = smooth_S + self.variances.sharpness * (asked.budget_S - smooth_S)
        prior_S = self.variances.segments * shared_S + self.variances.occupancy + _BUDGET + _CONSTANT
        spread_S = (weight_SP**2).sum(1)
        prior_S = prior_S * (1 + self.variances.own_request * spread_S)
        prior_S = prior_S + _REQUEST * spread_S + self.variances.schedule_own
        deviation_S = (prior_S - (explained_NS**2).sum(0)).clamp(min=1e-9).sqrt()
        return covariance_SN @ self._weights_N, deviation_S

    def fitted(self, requests: Sequence[int]) -> Tensor:
        """Prediction [U] of the mean for each of :attr:`schedules`."""
        share_UN = self._shares(self._weights(self._data.features, requests), requests)
        return self._covariance(self._data.alike_UU, share_UN) @ self._weights_N

    def _weights(self, asked: _Features, requests: Sequence[int]) -> Tensor:
        """Weight of each of ``requests`` in the mean, for the budget of each schedule asked about [S, P]."""
        rows = {budget: self._data.request_weights(budget, requests) for budget in set(asked.budget_S.int().tolist())}
        return torch.stack([rows[budget] for budget in asked.budget_S.int().tolist()])

    def _shares(self, weight_SP: Tensor, requests: Sequence[int]) -> Tensor:
        """The weight of each measurement's request in the mean, zero where it is not in it [S, N]."""
        column = {request: index for index, request in enumerate(requests)}
        padded = torch.nn.functional.pad(weight_SP, (0, 1))
        return padded[:, [column.get(request, len(requests)) for request in self._data.request_N.tolist()]]

    def _covariance(self, alike: _Likeness, share_SN: Tensor) -> Tensor:
        """Covariance [S, N] of weighted means over requests with the measurements."""
        row_N = self._data.row_N
        covariance = alike.kernel(self.variances)[:, row_N] * (1 + self.variances.own_request * share_SN)
        covariance += _REQUEST * alike.budgets[:, row_N] * share_SN
        covariance += self.variances.schedule_own * alike.equal[:, row_N]
        return covariance


def fit_surrogate(
    measurements: Sequence[Measurement],
    variances: Variances | None = None,
    weights: Mapping[int, float] | None = None,
) -> RewardSurrogate:
    """Fit with the given variances, or with those of :data:`SETTINGS` under which the measurements are likeliest.

    ``weights`` are those of the requests in the mean that is asked for; without them all count the same.
    """
    return RewardSurrogate(_Data(measurements, weights), variances or likeliest_variances(measurements))


def likeliest_variances(measurements: Sequence[Measurement]) -> Variances:
    """The best found in :data:`SETTINGS` by marginal likelihood, on an even selection of the measurements."""
    chosen = measurements[:: -(-len(measurements) // CHOOSE_ON)]
    data = _Data(chosen)
    best = FIRST_GUESS
    for line in SETTINGS:
        tried = (replace(best, **changes) for changes in line)
        best = max(tried, key=lambda variances: RewardSurrogate(data, variances).log_likelihood)
    return best


class _Data:
    """The measurements in the form every fit on them shares."""

    def __init__(self, measurements: Sequence[Measurement], weights: Mapping[int, float] | None = None) -> None:
        self.weights = weights
        rows = {schedule: row for row, schedule in enumerate(dict.fromkeys(m.schedule for m in measurements))}
        self.schedules = tuple(rows)
        self.features = _Features.of(self.schedules)
        self.alike_UU = _Likeness.between(self.features, self.features)
        self.row_N = torch.tensor([rows[m.schedule] for m in measurements])
        self.request_N = torch.tensor([m.request for m in measurements])
        self.pairs = self.row_N[:, None], self.row_N[None, :]
        self.same_request_NN = (self.request_N[:, None] == self.request_N).double()
        rewards = [measurement.reward for measurement in measurements]
        self.costs, seen = are_costs(rewards), log_domain(rewards)
        self.seen_N = torch.tensor(seen, dtype=torch.float64)
        self.budget_N = torch.tensor([m.schedule.budget for m in measurements])
        scales = _budget_scales(self.budget_N.tolist(), seen)
        targets = [
            _standardised(value, *scales[m.schedule.budget]) for m, value in zip(measurements, seen, strict=True)
        ]
        self.target_N = torch.tensor(targets, dtype=torch.float64)

    def request_weights(self, budget: int, requests: Sequence[int]) -> Tensor:
        """Share of each request in the weighted sum of the costs of this budget's schedules [P].

        For rewards that are no costs, its share in the mean.
        A request's cost is the geometric mean of what was measured on it, drawn towards the budget's as if
        ``_PRIOR_ROWS`` more had been.
        """
        weight_P = torch.ones(len(requests), dtype=torch.float64)
        here_N = self.budget_N == budget
        if self.costs and here_N.any():
            usual = self.seen_N[here_N].mean()
            for index, request in enumerate(requests):
                seen = self.seen_N[here_N & (self.request_N == request)]
                weight_P[index] = torch.exp((usual - seen).sum() / (len(seen) + _PRIOR_ROWS))
        if self.weights is not None:
            weight_P *= torch.tensor([self.weights[request] for request in requests], dtype=torch.float64)
        return weight_P / weight_P.sum()


def _budget_scales(budgets: Sequence[int], values: Sequence[float]) -> dict[int, tuple[float, float]]:
    """Median and spread of the rewards of each budget; a budget without spread takes the others' median spread."""
    rewards: dict[int, list[float]] = defaultdict(list)
    for budget, value in zip(budgets, values, strict=True):
        rewards[budget].append(value)
    spreads = {budget: statistics.pstdev(values) for budget, values in rewards.items()}
    usual = statistics.median([spread for spread in spreads.values() if spread > 0.0] or [1.0])
    return {budget: (statistics.median(values), spreads[budget] or usual) for budget, values in rewards.items()}


def _standardised(reward: float, centre: float, spread: float) -> float:
    """Distance from the budget's median in spreads; the tail of hopeless schedules is pulled in logarithmically."""
    distance = (reward - centre) / spread
    return distance if distance > -_TAIL else -_TAIL - math.log1p(-_TAIL - distance)


@dataclass(frozen=True)
class _Features:
    """What the kernel sees of each schedule.

    Cumulative counts [S, T], segments as a smooth histogram [S, G * G] and as a list over all schedules [sum of
    budgets] of i (T + 1) + j, budget [S].
    """

    counts_ST: Tensor
    edges: Tensor
    segments_SG: Tensor
    budget_S: Tensor

    @classmethod
    def of(cls, schedules: Sequence[Schedule]) -> _Features:
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
        return cls(mask_ST.cumsum(1), start * (num_steps + 1) + end, segments_SG, budget_S.double())

    def shared_edges(self, other: _Features) -> Tensor:
        """How many segments two schedules have in common, exactly [S, U]."""
        num_steps = self.counts_ST.shape[1]
        present = torch.zeros(num_steps * (num_steps + 1), len(other.budget_S), dtype=torch.float64)
        present[other.edges, torch.repeat_interleave(torch.arange(len(other.budget_S)), other.budget_S.long())] = 1.0
        first = self.budget_S.long().cumsum(0) - self.budget_S.long()
        return torch.nn.functional.embedding_bag(self.edges, present, first, mode="sum")


@dataclass(frozen=True)
class _Likeness:
    """How alike two sets of schedules are, each [S, U]: segments, smooth and exact; occupancy, budgets, equality."""

    smooth: Tensor
    exact: Tensor
    occupancy: Tensor
    budgets: Tensor
    equal: Tensor

    @classmethod
    def between(cls, left: _Features, right: _Features) -> _Likeness:
        log_ratio = left.budget_S.log()[:, None] - right.budget_S.log()
        budgets = torch.exp(-(log_ratio**2) / (2 * _BUDGET_WIDTH**2))
        carried = _SHARED_SEGMENTS + (1 - _SHARED_SEGMENTS) * budgets
        smooth, exact = left.segments_SG @ right.segments_SG.T * carried, left.shared_edges(right) * carried
        squared = (left.counts_ST**2).sum(-1)[:, None] + (right.counts_ST**2).sum(-1)
        distance = squared - 2 * left.counts_ST @ right.counts_ST.T  # whole numbers, exact in float64
        width = _OCCUPANCY_WIDTH**2 * left.counts_ST.shape[1] / 16
        return cls(smooth, exact, torch.exp(-distance / (2 * width)) * budgets, budgets, distance == 0)

    def kernel(self, variances: Variances) -> Tensor:
        segments = torch.lerp(self.smooth, self.exact, variances.sharpness)
        return variances.segments * segments + variances.occupancy * self.occupancy + _BUDGET * self.budgets + _CONSTANT


@lru_cache(maxsize=8)
def _bumps(num_steps: int) -> Tensor:
    """Every step as a Gaussian bump, one node wide, over a grid of relative positions [T + 1, G]; rows of norm 1."""
    nodes = min(num_steps, MAX_GRID)
    step_T = torch.arange(num_steps + 1, dtype=torch.float64) * nodes / num_steps
    distance_TG = step_T[:, None] - torch.arange(nodes + 1, dtype=torch.float64)
    bumps_TG = torch.exp(-(distance_TG**2) / 2)
    return bumps_TG / bumps_TG.norm(dim=-1, keepdim=True)
