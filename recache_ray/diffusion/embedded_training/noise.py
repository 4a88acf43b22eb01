"""The noise that a rectified flow is trained on, and how much of it.

Shapes: latents (B, ...); noise levels (B,).
"""

from __future__ import annotations

import torch

UNIFORM_SHARE = 0.3


def add_noise(
    latents: torch.Tensor, shift: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A noise level s per example, noise e like the latents x, and their mix (1 - s)·x + s·e."""
    levels = noise_levels(len(latents), shift, generator)
    noise = torch.randn(latents.shape, generator=generator)
    share = levels.view(-1, *(1,) * (latents.ndim - 1))
    return levels, noise, (1 - share) * latents + share * noise


def noise_levels(count: int, shift: float, generator: torch.Generator) -> torch.Tensor:
    """Levels (count,) in (0, 1): logit-normal with a uniform share, then shifted as the scheduler shifts them."""
    even = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    bell = torch.randn(count, generator=generator).sigmoid()
    levels = torch.where(torch.rand(count, generator=generator) < UNIFORM_SHARE, even, bell)
    return (shift * levels / (1 + (shift - 1) * levels)).clamp(1e-3, 1.0)
