"""A training under way: the weights, their running average, the optimisers and how far it is."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from recache_ray.diffusion.embedded_training.checkpoint import load_checkpoint, save_checkpoint
from recache_ray.diffusion.embedded_training.optimisers import IsBlockMatrix, Optimisers

EMA_DECAY = 0.998


class Training:
    """Continues from the checkpoint in its folder, where there is one.

    Args:
        model: what is trained, in place.
        is_block_matrix: whether Muon takes the parameter of this name.
        folder: of the checkpoint.

    Attributes:
        average: running average of the weights, by name.
        step: updates made.
        before_s: seconds trained before this process.
    """

    def __init__(self, model: nn.Module, is_block_matrix: IsBlockMatrix, folder: Path) -> None:
        self.average = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.optimisers = Optimisers(model, is_block_matrix)
        self._model = model
        self._folder = folder
        self.step, self.before_s = load_checkpoint(folder, model, self.average, self.optimisers.all)

    def update(self) -> None:
        """One step from the gradients that the parameters carry; the average follows, faster at the beginning."""
        self.optimisers.step()
        weight = 1 - min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self._model.parameters()), weight)
        self.step += 1

    def save(self, trained_s: float) -> None:
        """Write the checkpoint, of a training of so many seconds in all."""
        save_checkpoint(self._folder, self._model, self.average, self.optimisers.all, self.step, trained_s)
