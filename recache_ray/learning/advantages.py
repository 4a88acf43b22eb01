"""Leave-one-out advantages of one group, and the per-budget scale that makes budgets weigh alike.

Shape suffixes: M siblings of one (prompt, seed, budget).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def truncated_weights(log_prob_M: Tensor, behaviour_log_prob_M: Tensor, clip: float) -> Tensor:
    """Importance weights min(p/q, clip) of samples drawn by an older policy q, detached, float64 [M].

    Truncation from above only, as in truncated importance sampling; the bias it leaves multiplies the centred reward.
    """
    ratio_M = torch.exp((log_prob_M.detach() - behaviour_log_prob_M).to(torch.float64))
    return ratio_M.clamp(max=clip)


def effective_sample_share(weights_M: Tensor) -> float:
    """(sum w)^2 / (M sum w^2): 1 for fresh samples, towards 1/M when one sample carries the group."""
    return float(weights_M.sum() ** 2 / (weights_M.numel() * (weights_M**2).sum()))


def leave_one_out_advantages(rewards_M: Tensor, weights_M: Tensor | None = None) -> Tensor:
    """RLOO: each reward minus the (weighted) mean of the others, times its own weight, float64 [M].

    With weights w the baseline of sibling i is sum_{j != i} w_j R_j / sum_{j != i} w_j, which does not depend on
    sibling i, so the estimator stays unbiased while w is not truncated. A sibling without others gets 0.

    Source: Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free".
    """
    rewards_M = rewards_M.to(torch.float64)
    if rewards_M.numel() < 2:
        return torch.zeros_like(rewards_M)
    if weights_M is None:
        weights_M = torch.ones_like(rewards_M)
    total, weighted = weights_M.sum(), (weights_M * rewards_M).sum()
    others_M = (weighted - weights_M * rewards_M) / (total - weights_M)
    return weights_M * (rewards_M - others_M)


class RewardScale:
    """Running standard deviation of rewards within a group, per budget.

    Dividing by it gives every budget the same weight and keeps the learning rate independent of the reward's unit,
    without the bias towards near-constant groups of dividing by each group's own deviation. It is a bias-corrected
    exponential average of group variances over updates, and part of the checkpoint.
    """

    def __init__(self, decay: float = 0.8) -> None:
        self._decay = decay
        self._average: dict[int, float] = {}
        self._weight: dict[int, float] = {}

    def observe(self, variances: Mapping[int, float]) -> None:
        """Take in one update's mean group variance per budget."""
        for budget, variance in variances.items():
            self._average[budget] = self._decay * self._average.get(budget, 0.0) + (1 - self._decay) * variance
            self._weight[budget] = self._decay * self._weight.get(budget, 0.0) + (1 - self._decay)

    def scale(self, budget: int) -> float:
        """Standard deviation to divide by; 1.0 as long as every group of this budget was constant."""
        average = self._average.get(budget, 0.0)
        return (average / self._weight[budget]) ** 0.5 if average > 0.0 else 1.0

    def state(self) -> dict[str, list[float]]:
        """JSON-ready state: budget to [average, weight]."""
        return {str(budget): [self._average[budget], self._weight[budget]] for budget in sorted(self._average)}

    def load_state(self, state: Mapping[str, list[float]]) -> None:
        """Take over the state of :meth:`state`."""
        self._average = {int(budget): values[0] for budget, values in state.items()}
        self._weight = {int(budget): values[1] for budget, values in state.items()}
