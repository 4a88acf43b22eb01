"""The video ↔ latent coding of `shapes-video`: a linear stand-in for AutoencoderKLWan, with the same factors in time.

AutoencoderKLWan needs more processor time to train than the rest of the model, and one that codes exactly cannot be
written down: its upsampling repeats a cell, so that neighbours cannot be told apart. Here a latent cell is the
projection of 4 frames of 4x4 pixels onto their principal components. As in Wan's coding the first latent frame stands
for the first frame alone (here: for its fourfold repetition).
Shapes: videos (B, 3, F, H, W) in [-1, 1] with F = 4n + 1; latents (B, C, n + 1, H/4, W/4).
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import AutoencoderMixin, DecoderOutput
from torch import nn

from recache_ray.diffusion.embedded_training.round_trip import mean_psnr_db

FACTOR = 4
"""Pixels of a cell's side, and its frames."""

CELL_VALUES = 3 * FACTOR**3


class PatchCodec(ModelMixin, AutoencoderMixin, ConfigMixin):
    """What a WanPipeline asks of its autoencoder, without anything to train.

    Args:
        z_dim: C, components kept.
        latents_mean: of every channel, taken off and added again by the pipeline.
        latents_std: of every channel, divided out and multiplied in again by the pipeline.
        scale_factor_temporal: frames of a cell; fixed.
        scale_factor_spatial: pixels of a cell's side; fixed.
    """

    _supports_gradient_checkpointing = False

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        z_dim: int = 16,
        latents_mean: tuple[float, ...] = (),
        latents_std: tuple[float, ...] = (),
        scale_factor_temporal: int = FACTOR,
        scale_factor_spatial: int = FACTOR,
    ) -> None:
        super().__init__()
        self.use_slicing = False
        self.use_tiling = False  # nothing overlaps: tiles would give the same pixels
        self.mean = nn.Parameter(torch.zeros(CELL_VALUES), requires_grad=False)
        self.components = nn.Parameter(torch.zeros(z_dim, CELL_VALUES), requires_grad=False)

    def encode(self, videos: torch.Tensor) -> torch.Tensor:
        """Latents, not yet normalised."""
        cells = (cells_of(videos) - self.mean) @ self.components.T
        return cells.permute(0, 4, 1, 2, 3)

    def decode(self, z: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        """Videos of latents; with slicing one at a time, whose bits then do not depend on the batch."""
        parts = z.split(1) if self.use_slicing else (z,)
        videos = torch.cat([self._decode(part) for part in parts]).clamp(-1, 1)
        return DecoderOutput(sample=videos) if return_dict else (videos,)

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        cells = latents.permute(0, 2, 3, 4, 1) @ self.components + self.mean
        batch, times, rows, columns, _ = cells.shape
        grid = cells.view(batch, times, rows, columns, 3, FACTOR, FACTOR, FACTOR).permute(0, 4, 1, 5, 2, 6, 3, 7)
        return grid.reshape(batch, 3, times * FACTOR, rows * FACTOR, columns * FACTOR)[:, :, FACTOR - 1 :]


def cells_of(videos: torch.Tensor) -> torch.Tensor:
    """Videos cut into cells, (B, n + 1, H/4, W/4, 192)."""
    batch, channels, frames, height, width = videos.shape
    padded = torch.cat([videos[:, :, :1].expand(-1, -1, FACTOR - 1, -1, -1), videos], dim=2)
    times, rows, columns = (frames + FACTOR - 1) // FACTOR, height // FACTOR, width // FACTOR
    grid = padded.reshape(batch, channels, times, FACTOR, rows, FACTOR, columns, FACTOR)
    return grid.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, times, rows, columns, CELL_VALUES)


@torch.no_grad()
def fit_codec(videos: torch.Tensor, z_dim: int) -> PatchCodec:
    """The codec of the leading principal components of these videos' cells.

    The pipeline divides every channel by the fourth root of its variance, all of them by one more constant, so that
    the mean square is 1: between no whitening, where edges drown in the noise until the last steps, and full whitening,
    where the smallest details count as much as the colours.
    """
    cells = cells_of(videos).reshape(-1, CELL_VALUES).double()
    mean = cells.mean(dim=0)
    variances, vectors = torch.linalg.eigh((cells - mean).T @ (cells - mean) / len(cells))
    kept, basis = variances.flip(0)[:z_dim], vectors.flip(1)[:, :z_dim].T
    basis = basis * basis.gather(1, basis.abs().argmax(dim=1, keepdim=True)).sign()  # eigenvectors have no sign
    spread = kept.pow(0.25) * kept.sqrt().mean().sqrt()
    codec = PatchCodec(z_dim, latents_mean=(0.0,) * z_dim, latents_std=tuple(spread.tolist()))
    codec.mean.copy_(mean)
    codec.components.copy_(basis)
    return codec.eval()


@torch.no_grad()
def round_trip_psnr_db(codec: PatchCodec, videos: torch.Tensor) -> float:
    """Mean over videos of the signal-to-noise ratio of decode(encode(x)), in dB of the full range."""
    restored: Any = codec.decode(codec.encode(videos), return_dict=False)[0]
    return mean_psnr_db(restored, videos)
