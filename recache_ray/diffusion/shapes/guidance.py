"""Guidance learned into the weights: one forward pass per step draws what a guided pair of passes would.

Model guidance (Tang et al. 2025, arXiv 2502.12154, eq. 12): the target of a caption's velocity is moved away from the
network's own velocity without a caption. With share w the fixed point is d + w/(1 - w)·(d - u), d being the data's
velocity and u the one without a caption: the pictures of classifier-free guidance at scale 1/(1 - w).
Shapes: tokens (B, 64, 16); token ids (B, 24).
"""

from __future__ import annotations

import torch
from diffusers import FluxPipeline
from torch import nn

from recache_ray.diffusion.shapes.data import Examples, token_ids

BLANK_SHARE = 0.1
"""Share of examples that are trained without their caption, so that u exists."""

SHARE = 0.5
"""w: pictures of guidance scale 2."""

FROM_PROGRESS, FULL_PROGRESS = 0.15, 0.3
"""The guidance grows linearly between these shares of a training run: u must be known first."""


class Guidance:
    """Blanks some captions and moves the targets of the others."""

    def __init__(self, pipeline: FluxPipeline) -> None:
        clip_ids, t5_ids = token_ids((pipeline.tokenizer, pipeline.tokenizer_2), [""])
        self._blank = (clip_ids, t5_ids)

    def blank_some(self, examples: Examples, generator: torch.Generator) -> tuple[Examples, torch.Tensor]:
        """The examples with a share of captions emptied, and which (B,) kept theirs."""
        kept = torch.rand(len(examples.latents), generator=generator) >= BLANK_SHARE
        return self._without(examples, kept), kept

    def target(
        self, model: nn.Module, noisy: torch.Tensor, levels: torch.Tensor, examples: Examples, velocity: torch.Tensor
    ) -> torch.Tensor:
        """What to add to the data's velocity at full guidance: w·(velocity with caption - velocity without)."""
        nobody = torch.zeros(len(noisy), dtype=torch.bool)
        with torch.no_grad():
            blank = model(noisy, levels, self._without(examples, nobody)).float()
        return SHARE * (velocity.detach() - blank)

    def _without(self, examples: Examples, kept: torch.Tensor) -> Examples:
        clip_ids, t5_ids = self._blank
        keep = kept[:, None]
        return Examples(
            examples.latents,
            torch.where(keep, examples.clip_ids, clip_ids),
            torch.where(keep, examples.t5_ids, t5_ids),
        )


def strength(progress: float) -> float:
    """Share of the full guidance after this share of the run, in [0, 1]."""
    return min(1.0, max(0.0, (progress - FROM_PROGRESS) / (FULL_PROGRESS - FROM_PROGRESS)))
