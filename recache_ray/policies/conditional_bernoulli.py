"""The conditional Bernoulli distribution: p(S | k) proportional to exp of the summed logits of the computed steps.

It is the path distribution whose edges score only the step they lead to, w(i, j) = theta_j and w(i, T) = 0, so every
exact sum is the path's: log Z = ln e_{k-1}(exp theta), the elementary symmetric polynomial of Ahmed et al.
(arXiv 2210.01941), at O(k T^2) instead of O(k T).

Shapes: K budgets, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad

from recache_ray.policies.path import PathDistributions


class ConditionalBernoulliDistributions(PathDistributions):
    """Independent coin flips for the free steps 1..T-1, conditioned on k - 1 of them being computed.

    Args:
        logits: theta [K, T - 1] of the free steps; a constant added to a row changes nothing.
        budgets: ascending.
    """

    def __init__(self, logits: Tensor, budgets: Sequence[int]) -> None:
        num_steps = logits.shape[1] + 1
        super().__init__(pad(logits, (1, 1))[:, None, :].expand(-1, num_steps, -1), budgets)
        self.logits = logits
