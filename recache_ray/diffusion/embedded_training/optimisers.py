"""Muon for the matrices inside the blocks, AdamW for everything else, under one learning-rate schedule."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from recache_ray.diffusion.embedded_training.muon import Muon

IsBlockMatrix = Callable[[str, torch.Tensor], bool]

MUON_LR = 3e-3
ADAM_LR = 1.5e-3
WARM_UP_STEPS = 100
DECAY_FROM = 0.45
"""Share of the run after which the rate falls linearly, to 1% at the end."""


class Optimisers:
    """Steps both optimisers; the learning rate depends on the share of the run that is done.

    Args:
        model: what is trained.
        is_block_matrix: whether Muon takes the parameter of this name.
    """

    def __init__(self, model: nn.Module, is_block_matrix: IsBlockMatrix) -> None:
        named = list(model.named_parameters())
        matrices = [value for name, value in named if is_block_matrix(name, value)]
        others = [value for name, value in named if not is_block_matrix(name, value)]
        muon = Muon(matrices, lr=MUON_LR, weight_decay=0.01)
        adam = torch.optim.AdamW(others, lr=ADAM_LR, betas=(0.9, 0.98), weight_decay=0.01)
        self.all: tuple[torch.optim.Optimizer, ...] = (muon, adam)
        self.parameters: list[torch.Tensor] = [value for _, value in named]

    def schedule(self, step: int, progress: float) -> float:
        """Sets the rates for this step and returns their factor, in (0, 1]."""
        fall = max(0.0, (progress - DECAY_FROM) / (1 - DECAY_FROM))
        factor = min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.01, 1 - fall)
        for optimiser, peak in zip(self.all, (MUON_LR, ADAM_LR), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = peak * factor
        return factor

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """One update from the gradients that the parameters carry."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser in self.all:
            optimiser.step()
