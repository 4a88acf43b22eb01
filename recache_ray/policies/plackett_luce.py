"""The Plackett-Luce distribution: k - 1 of the free steps 1..T-1 drawn one after another without replacement.

Drawing order is a nuisance: a schedule is a set, and so is the key of every stored reward. Learning therefore uses the
set probability, with the order integrated out. It has the same expected gradient as the ordered one and never more
variance (Kool et al., arXiv 2002.06043).

Shapes: K budgets, T steps, M schedules, C chosen free steps (padded to the largest), Q quadrature nodes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recache_ray.errors import BadInputError
from recache_ray.policies.distributions import DistributionBatch
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed

_ENTROPY_DRAWS = 8


class PlackettLuceDistributions(DistributionBatch):
    """Gumbel-top-k sampling (Kool et al., arXiv 1903.06059), probabilities of sets by quadrature.

    Args:
        logits: phi [K, T - 1] of the free steps; a constant added to a row changes nothing.
        budgets: ascending.
    """

    def __init__(self, logits: Tensor, budgets: Sequence[int]) -> None:
        super().__init__(logits.shape[1] + 1, budgets)
        self.logits = logits.double()

    def log_prob(self, schedules: Sequence[Schedule]) -> Tensor:
        """Log-probabilities of the sets [M], accurate to 1e-5, differentiable.

        With L the log-sum-exp of the steps not chosen and r_i = exp(phi_i - L), p(S) is the integral over u in (0, 1)
        of prod_{i in S} (1 - u^{r_i}); u = exp(-exp(-y)) makes the trapezoid rule converge exponentially.
        """
        rows = self.rows_of(schedules)
        result = self.logits[rows].sum(-1) * 0.0
        # The only schedule of budget 1, and of budget T, has probability 1.
        uncertain = [m for m, schedule in enumerate(schedules) if 1 < schedule.budget < self.num_steps]
        if not uncertain:
            return result
        logits = self.logits[[rows[m] for m in uncertain]]
        free = [torch.tensor(schedules[m].compute_steps[1:]) - 1 for m in uncertain]
        chosen = pad_sequence(free, batch_first=True, padding_value=-1)
        padding = chosen < 0
        # Padding repeats a chosen step, which masks nothing new.
        chosen = torch.where(padding, chosen[:, :1], chosen)
        rest = logits.scatter(1, chosen, -torch.inf).logsumexp(1, keepdim=True)
        nodes, spacing = _gumbel_nodes(chosen.shape[1])
        log_rate = (logits.gather(1, chosen) - rest)[..., None] - nodes
        log_factor = (-torch.expm1(-log_rate.exp())).log().masked_fill(padding[..., None], 0.0)
        log_integrand = log_factor.sum(1) - nodes - (-nodes).exp()
        return result.index_add(0, torch.tensor(uncertain), log_integrand.logsumexp(-1) + math.log(spacing))

    def ordered_log_prob(self, budget: int, orders: Sequence[Sequence[int]]) -> Tensor:
        """Log-probabilities [M] of drawing the free steps in these orders, each k - 1 steps long; differentiable.

        The denominators are running log-sums from the last draw to the first, never differences of exponentials.

        Raises:
            BadInputError: if an order does not name k - 1 distinct steps of 1..T-1.
        """
        for order in orders:
            if not len(order) == len(set(order) & set(range(1, self.num_steps))) == budget - 1:
                raise BadInputError(
                    f"order {list(order)}: must name {budget - 1} distinct steps of 1..{self.num_steps - 1}"
                )
        logits = self.logits[self.row(budget)].expand(len(orders), -1)
        if budget == 1:
            return logits.sum(-1) * 0.0
        chosen = torch.tensor(orders, dtype=torch.long) - 1
        picked = logits.gather(1, chosen)
        steps = [picked.flip(1)]
        if budget < self.num_steps:
            steps.insert(0, logits.scatter(1, chosen, -torch.inf).logsumexp(1, keepdim=True))
        denominators = torch.cat(steps, 1).logcumsumexp(1)[:, -(budget - 1) :].flip(1)
        return (picked - denominators).sum(-1)

    def entropy(self) -> Tensor:
        """Estimated entropy of the sets [K], value and gradient unbiased, from 8 draws per budget.

        There is no closed form. The draws are seeded by the logits themselves, so equal logits give equal estimates in
        any process, and every update of the logits gives fresh ones. The gradient is the score-function estimate
        -E[(ln p - baseline) grad ln p] with a leave-one-out baseline.
        """
        budgets = [budget for budget in self.budgets for _ in range(_ENTROPY_DRAWS)]
        digest = hashlib.sha256(self.logits.detach().numpy().tobytes()).hexdigest()
        generator = torch.Generator().manual_seed(derive_seed("plackett_luce.entropy", digest))
        log_prob = self.log_prob(self.sample(budgets, [generator] * len(budgets))).view(-1, _ENTROPY_DRAWS)
        value = log_prob.detach()
        centred = value - value.mean(1, keepdim=True)
        surrogate = -(centred * log_prob).sum(1) / (_ENTROPY_DRAWS - 1)
        return -value.mean(1) + (surrogate - surrogate.detach())

    def inclusion(self) -> Tensor:
        """Probability that each step is computed [K, T], by quadrature over the step's Gumbel; exact to 1e-9."""
        inclusion = torch.ones(len(self.budgets), self.num_steps, dtype=torch.float64)
        for row, budget in enumerate(self.budgets):
            inclusion[row, 1:] = _free_inclusion(self.logits[row].detach(), budget - 1)
        return inclusion

    def modes(self) -> tuple[Schedule, ...]:
        """The steps with the largest logits: the most probable set, and in falling order the most probable order."""
        return tuple(
            Schedule.from_steps(self.num_steps, (0, *(logits.topk(budget - 1).indices + 1).tolist()))
            for logits, budget in zip(self.logits.detach(), self.budgets, strict=True)
        )

    def _draw(self, rows: Tensor, uniforms: Tensor) -> Tensor:
        masks = torch.zeros_like(uniforms, dtype=torch.bool)
        masks[:, 0] = True
        gumbels = self.logits[rows] - (-uniforms[:, 1:].log()).log()
        ranks = gumbels.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        masks[:, 1:] = ranks < (torch.tensor(self.budgets)[rows] - 1)[:, None]
        return masks


def _gumbel_nodes(num_chosen: int) -> tuple[Tensor, float]:
    """Trapezoid nodes [Q] for integrals against a standard Gumbel density times up to ``num_chosen`` factors.

    The density leaves less than 1e-17 outside [-7, 41]. 256 nodes do until the product of factors, of width
    1 / sqrt(num_chosen), becomes narrower than their spacing allows.
    """
    nodes = torch.linspace(-7.0, 41.0, max(256, math.ceil(40 * math.sqrt(num_chosen))), dtype=torch.float64)
    return nodes, float(nodes[1] - nodes[0])


def _free_inclusion(logits: Tensor, num_chosen: int) -> Tensor:
    """P(step i is among the ``num_chosen`` largest) for every free step [T - 1].

    Given step i's Gumbel phi_i + y, each other step j exceeds it with probability 1 - exp(-exp(phi_j - phi_i - y)),
    independently; the distribution of how many do is built up step by step.
    """
    if num_chosen == 0:
        return torch.zeros_like(logits)
    nodes, spacing = _gumbel_nodes(num_chosen)
    exceeding = torch.zeros(len(logits), len(nodes), num_chosen, dtype=torch.float64)
    exceeding[..., 0] = 1.0
    for j, logit in enumerate(logits):
        above = -torch.expm1(-(logit - logits[:, None] - nodes).exp())
        above[j] = 0.0
        one_more = exceeding[..., :-1] * above[..., None]
        exceeding = exceeding * (1 - above[..., None])
        exceeding[..., 1:] += one_more
    density = (-nodes - (-nodes).exp()).exp() * spacing
    return (exceeding.sum(-1) * density).sum(-1)
