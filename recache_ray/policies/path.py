"""The path distribution: p(S | k) proportional to exp of the summed scores of consecutive computed steps.

Item-wise logits can only say which steps matter; edge scores can also say how far apart they should be, which is what
a cached step's error depends on. With w(i, j) = -cost(i, j) / temperature this is a softened DPCache.

Sizes: K budgets, T steps, M schedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from recache_ray.policies.distributions import DistributionBatch
from recache_ray.policies.path_sums import Level, PathSums, backward_levels, best_paths, score_gradient
from recache_ray.schedules import Schedule


class PathDistributions(DistributionBatch):
    """Exact in everything: sampling, probabilities, entropy, inclusion and mode, in O(k T^2) per budget.

    Args:
        scores: w [K, T, T + 1], entry (i, j) for the edge from computed step i to the next one j, column T for the end
            of the schedule; entries with j <= i are ignored.
        budgets: ascending.
    """

    def __init__(self, scores: Tensor, budgets: Sequence[int]) -> None:
        super().__init__(scores.shape[1], budgets)
        self.scores = scores.double()

    @cached_property
    def _levels(self) -> list[Level]:
        with torch.no_grad():
            return backward_levels(self.scores, self.budgets)

    @cached_property
    def _sums(self) -> tuple[Tensor, Tensor]:
        return PathSums.apply(self.scores, self.budgets, self._levels)

    def log_normaliser(self) -> Tensor:
        """log Z [K], differentiable."""
        return self._sums[0]

    def entropy(self) -> Tensor:
        return self._sums[1]

    def log_prob(self, schedules: Sequence[Schedule]) -> Tensor:
        rows = self.rows_of(schedules)
        width = self.num_steps + 1
        edges: list[int] = []
        for row, schedule in zip(rows, schedules, strict=True):
            start = row * self.num_steps * width
            steps = (*schedule.compute_steps, self.num_steps)
            edges.extend(start + i * width + j for i, j in pairwise(steps))
        lengths = torch.tensor([schedule.budget for schedule in schedules])
        owner = torch.repeat_interleave(torch.arange(len(schedules)), lengths)
        picked = self.scores.reshape(-1).index_select(0, torch.tensor(edges, dtype=torch.long))
        path_scores = picked.new_zeros(len(schedules)).index_add(0, owner, picked)
        return path_scores - self._sums[0][torch.tensor(rows, dtype=torch.long)]

    def inclusion(self) -> Tensor:
        ones = torch.ones(len(self.budgets), dtype=torch.float64)
        edge_probability = score_gradient(self._levels, self.budgets, ones, torch.zeros_like(ones))
        inclusion = edge_probability.sum(1)[:, : self.num_steps]
        inclusion[:, 0] = 1.0
        return inclusion

    def modes(self) -> tuple[Schedule, ...]:
        with torch.no_grad():
            return tuple(Schedule(self.num_steps, steps) for steps in best_paths(self.scores, self.budgets))

    def _draw(self, rows: Tensor, uniforms: Tensor) -> Tensor:
        """Walk all paths forward together, each inverting the CDF of its next edge."""
        masks = torch.zeros_like(uniforms, dtype=torch.bool)
        masks[:, 0] = True
        here = torch.zeros_like(rows)
        left_at_start = torch.tensor(self.budgets)[rows]
        for left in range(int(left_at_start.max()), 1, -1):
            level = self._levels[left - 1]
            walking = (left_at_start >= left).nonzero()[:, 0]
            cdf = level.transition[rows[walking] - level.first, here[walking]].cumsum(-1)
            # "<=" steps over impossible edges, which leave the CDF unchanged; the last edge of a level always exists.
            chosen = (cdf <= uniforms[walking, left - 1, None] * cdf[:, -1:]).sum(-1).clamp_(max=cdf.shape[1] - 1) + 1
            here[walking] = chosen
            masks[walking, chosen] = True
        return masks
