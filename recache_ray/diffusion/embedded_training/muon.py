"""Muon in float32: momentum whose matrices are orthogonalised before they are applied.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; step sizes matched to AdamW's as in Liu
et al. 2025 (arXiv 2502.16982). ``torch.optim.Muon`` orthogonalises in bfloat16, which a processor without such
instructions emulates: that took 90% of a training step (AVX2, torch 2.15).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x³ and x⁵: singular values in (0, 1] end between 0.7 and 1.2."""

MATCHED_RMS = 0.2


class Muon(torch.optim.Optimizer):
    """For matrices only; matrices of one shape are orthogonalised together.

    Args:
        params: two-dimensional parameters.
        lr: learning rate, of the size one would give AdamW.
        weight_decay: decoupled.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update from the gradients that the parameters carry; parameters without one stay as they are."""
        assert closure is None, "the gradients must be there already"
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for (rows, columns), parameters in by_shape.items():
                directions = orthogonalise(torch.stack([self._momentum(parameter) for parameter in parameters]))
                rate = group["lr"] * MATCHED_RMS * max(rows, columns) ** 0.5
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, list(directions), alpha=-rate)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Nesterov's look ahead on the running mean of gradients."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        mean: Tensor = state["momentum_buffer"].lerp_(parameter.grad, 1 - MOMENTUM)
        return parameter.grad.lerp(mean, MOMENTUM)


def orthogonalise(matrices: Tensor) -> Tensor:
    """Pull all singular values of each matrix [B, R, C] towards 1 by a quintic Newton-Schulz iteration."""
    linear, cubic, quintic = QUINTIC
    upright = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if upright else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic), x, beta=linear)
    return x.mT if upright else x
