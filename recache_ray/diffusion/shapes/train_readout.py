"""Trains the attribute read-out: ``python -m recache_ray.diffusion.shapes.train_readout --vae DIR``.

It sees renderings, a share of them passed through the autoencoder, with blur, noise and a little contrast change, so
that it judges what is drawn rather than how cleanly. Its own accuracy is measured on held-out scenes and stored with
the weights.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import save_file

from recache_ray.diffusion.shapes import model_path
from recache_ray.diffusion.shapes.labels import IGNORED, scene_labels
from recache_ray.diffusion.shapes.readout import READOUT_PATH, Readout, accuracies, read
from recache_ray.diffusion.shapes.render import render
from recache_ray.diffusion.shapes.scene import Scene, sample_scene

PICTURES, ROUND_TRIPS = 30_000, 2_500
BATCH, PEAK_LR = 64, 3e-3


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes.train_readout", description=__doc__)
    parser.add_argument("--vae", type=Path, default=model_path() / "vae", help="the trained autoencoder")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=READOUT_PATH)
    chosen = parser.parse_args(arguments)
    vae = AutoencoderKL.from_pretrained(chosen.vae).eval()
    readout = train_readout(vae, chosen.steps, chosen.seed)
    measured = measure_readout(readout, vae, count=1000, seed=chosen.seed + 1)
    weights = {name: value.to(torch.float16).contiguous() for name, value in readout.state_dict().items()}
    save_file(weights, chosen.output, metadata={"held_out_accuracy": json.dumps(measured)})
    print(json.dumps(measured, indent=2))


def train_readout(vae: AutoencoderKL, steps: int, seed: int) -> Readout:
    """A classifier trained on scenes of the training combinations."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        readout = Readout()
    scenes, pixels = _pictures(PICTURES, seed, held_out=False)
    pixels[:ROUND_TRIPS] = _round_trip(vae, pixels[:ROUND_TRIPS])
    labels = torch.tensor([scene_labels(scene) for scene in scenes])
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(readout.parameters(), lr=PEAK_LR, weight_decay=0.02)
    started = time.monotonic()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = PEAK_LR * min(1.0, (step + 1) / 100) * (1 - step / steps)
        index = torch.randint(PICTURES, (BATCH,), generator=generator)
        from_vae = torch.rand(BATCH, generator=generator) < 0.25
        index = torch.where(from_vae, index % ROUND_TRIPS, index)
        logits = readout(_disturb(pixels[index], generator))
        target = labels[index]
        losses = [
            F.cross_entropy(guess, target[:, column], ignore_index=IGNORED)
            for column, guess in enumerate(logits)
            if bool((target[:, column] != IGNORED).any())
        ]
        loss = torch.stack(losses).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 200 == 0:
            left_s = (time.monotonic() - started) / (step + 1) * (steps - step - 1)
            print(f"step {step + 1}/{steps}  loss {float(loss.detach()):.4f}  {left_s:.0f} s left", flush=True)
    return readout.eval()


def measure_readout(readout: Readout, vae: AutoencoderKL, count: int, seed: int) -> dict[str, dict[str, float]]:
    """Accuracies on held-out scenes: as rendered, and after the autoencoder's round trip."""
    scenes, pixels = _pictures(count, seed, held_out=True)
    return {
        "rendered": accuracies(scenes, read(readout, pixels)),
        "round_trip": accuracies(scenes, read(readout, _round_trip(vae, pixels))),
    }


def _pictures(count: int, seed: int, *, held_out: bool) -> tuple[list[Scene], torch.Tensor]:
    draws, numbers = random.Random(seed), np.random.default_rng(seed)
    scenes = [sample_scene(draws, held_out=held_out, two_objects=0.4) for _ in range(count)]
    pictures = np.stack([render(scene, numbers) for scene in scenes])
    return scenes, torch.from_numpy(pictures).permute(0, 3, 1, 2).mul(2).sub(1).contiguous()


@torch.no_grad()
def _round_trip(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    parts = [vae.decode(vae.encode(part).latent_dist.mode()).sample for part in pixels.split(64)]
    return torch.cat(parts).clamp(-1, 1)


def _disturb(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noise of up to 0.1, sometimes a blur, contrast and brightness off by up to 5% and 0.05."""
    count = len(pixels)
    draws = torch.rand(4, count, 1, 1, 1, generator=generator)
    blurred = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    pixels = torch.where(draws[0] < 0.2, blurred, pixels)
    pixels = pixels * (0.95 + 0.1 * draws[1]) + 0.1 * (draws[2] - 0.5)
    return pixels + 0.1 * draws[3] * torch.randn(pixels.shape, generator=generator)


if __name__ == "__main__":
    main()
