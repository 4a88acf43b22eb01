"""How well an autoencoder gives back what it was given."""

from __future__ import annotations

import torch


def mean_psnr_db(restored: torch.Tensor, originals: torch.Tensor) -> float:
    """Mean over the rows (B, ...) in [-1, 1] of the signal-to-noise ratio, in dB of the full range."""
    mean_square = (restored - originals).square().mean(dim=tuple(range(1, originals.ndim))) / 4
    return float((-10 * mean_square.log10()).mean())
