"""Trains the autoencoder on random crops of rendered pictures, then fixes the scale of its latents.

Shapes: pixels (B, 3, H, W) in [-1, 1]; latents (B, 4, H/4, W/4).
"""

from __future__ import annotations

import math
import random
import time

import numpy as np
import torch
from diffusers import AutoencoderKL

from recache_ray.diffusion.embedded_training.journal import Log
from recache_ray.diffusion.embedded_training.round_trip import mean_psnr_db
from recache_ray.diffusion.shapes.architecture import LATENT_CHANNELS, build_vae
from recache_ray.diffusion.shapes.precision import mixed_precision
from recache_ray.diffusion.shapes.render import render
from recache_ray.diffusion.shapes.scene import sample_scene

CROP_PX = 32
BATCH = 64
PEAK_LR = 2e-3
KL_WEIGHT = 5e-4
PICTURES = 6000
"""Rendered once; the crops of one picture differ."""


def rendered_pixels(count: int, seed: int) -> torch.Tensor:
    """Training pictures, (count, 3, 64, 64) in [-1, 1]."""
    scenes, numbers = random.Random(seed), np.random.default_rng(seed)
    pictures = [render(sample_scene(scenes, held_out=False), numbers) for _ in range(count)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).mul(2).sub(1)


def train_vae(minutes: float, seed: int, log: Log) -> AutoencoderKL:
    """An autoencoder trained for so many minutes, with unit-scale latents and its scale and shift in the config."""
    torch.manual_seed(seed)
    vae = build_vae()
    generator = torch.Generator().manual_seed(seed)
    pixels = rendered_pixels(PICTURES, seed)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=1e-4)
    started, step = time.monotonic(), 0
    while (progress := (time.monotonic() - started) / (60 * minutes)) < 1:
        rate = PEAK_LR * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = _crops(pixels, generator)
        with mixed_precision():
            posterior = vae.encode(batch).latent_dist
            restored = vae.decode(posterior.sample(generator)).sample
        error = restored.float() - batch
        kl = 0.5 * (posterior.mean.float().square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        loss = error.abs().mean() + error.square().mean() + KL_WEIGHT * kl
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            values = {"loss": loss, "mse": error.square().mean(), "kl": kl, "noise": posterior.std.mean()}
            elapsed = time.monotonic() - started
            log(
                {
                    "phase": "vae",
                    "step": step,
                    "seconds": elapsed,
                    **{k: float(v.detach()) for k, v in values.items()},
                }
            )
    vae.eval()
    _normalise_latents(vae, pixels[:1000])
    log({"phase": "vae", "step": step, "psnr_db": round_trip_psnr_db(vae, rendered_pixels(200, seed + 1))})
    return vae


@torch.no_grad()
def round_trip_psnr_db(vae: AutoencoderKL, pixels: torch.Tensor) -> float:
    """Mean over pictures of the signal-to-noise ratio of decode(encode(x)), in dB of the full range."""
    restored = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    return mean_psnr_db(restored, pixels)


@torch.no_grad()
def _normalise_latents(vae: AutoencoderKL, pixels: torch.Tensor) -> None:
    """Gives every latent channel the same spread (folded into the convolutions), then records shift and scale."""
    spread = vae.encode(pixels).latent_dist.mean.std(dim=(0, 2, 3))
    into, out = vae.decoder.conv_in, vae.encoder.conv_out
    means, log_variances = slice(0, LATENT_CHANNELS), slice(LATENT_CHANNELS, 2 * LATENT_CHANNELS)
    out.weight[means] /= spread.view(-1, 1, 1, 1)
    out.bias[means] /= spread
    out.bias[log_variances] -= 2 * spread.log()
    into.weight *= spread.view(1, -1, 1, 1)
    latents = vae.encode(pixels).latent_dist.mean
    vae.register_to_config(shift_factor=float(latents.mean()), scaling_factor=float(1 / latents.std()))


def _crops(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One random crop of each of BATCH pictures, mirrored at random."""
    which = torch.randint(len(pixels), (BATCH,), generator=generator)
    corners = torch.randint(pixels.shape[-1] - CROP_PX + 1, (BATCH, 2), generator=generator).tolist()
    crops = [
        pixels[index, :, top : top + CROP_PX, left : left + CROP_PX]
        for index, (top, left) in zip(which.tolist(), corners, strict=True)
    ]
    batch = torch.stack(crops)
    if torch.rand((), generator=generator) < 0.5:
        batch = batch.flip(-1)
    return batch
