"""The policy-gradient loss over all budgets of one update.

Shape suffixes: M rollouts of one budget, over every group of the update.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BudgetTerm:
    """What one budget contributes to the loss.

    Attributes:
        log_prob_M: log-probabilities under the current policy, differentiable; a schedule drawn twice appears twice.
        advantages_M: centred, scaled advantages, constants.
        entropy: entropy of the budget's distribution in nats, differentiable.
        max_entropy: entropy of the uniform distribution over its schedules.
    """

    log_prob_M: Tensor
    advantages_M: Tensor
    entropy: Tensor
    max_entropy: float


def max_entropy(num_steps: int, budget: int) -> float:
    """ln C(T - 1, k - 1): the number of schedules with step 0 and k - 1 of the other steps, in nats."""
    return math.log(math.comb(num_steps - 1, budget - 1))


def annealed_entropy_weight(weight: float, progress: float) -> float:
    """weight * (1 - f)^2 for f in 0..1, the share of the updates done."""
    return weight * max(0.0, 1.0 - progress) ** 2


def reinforce_loss(terms: Sequence[BudgetTerm], entropy_weight: float) -> Tensor:
    """-sum_budgets [mean_M(advantage * log p) + entropy_weight * entropy / max_entropy], a scalar.

    A budget with a single schedule (k = 1 or k = T) has no entropy to keep and adds no bonus.
    """
    losses = []
    for term in terms:
        loss = -(term.advantages_M * term.log_prob_M).mean()
        if term.max_entropy > 0.0:
            loss = loss - entropy_weight * term.entropy / term.max_entropy
        losses.append(loss)
    return torch.stack(losses).sum()
