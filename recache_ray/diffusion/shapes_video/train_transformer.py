"""Trains the transformer and the text encoder together, by rectified flow.

With noise level s in (0, 1), data x and noise e, the input is (1 - s)·x + s·e and the target e - x.
Shapes: latents (B, 16, 3, 8, 8); text states (B, 16, 64); noise levels (B,).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import WanPipeline
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from recache_ray.diffusion.shapes.checkpoint import load_checkpoint, save_checkpoint
from recache_ray.diffusion.shapes.optimisers import Optimisers
from recache_ray.diffusion.shapes_video.architecture import FLOW_SHIFT
from recache_ray.diffusion.shapes_video.data import ExamplePool, Examples
from recache_ray.diffusion.shapes_video.snapshot import save_snapshot

Log = Callable[[dict[str, float | str]], None]

BATCH = 24
FIRST_EXAMPLES, MOST_EXAMPLES = 1_024, 8_000
NEW_EVERY, NEW_EXAMPLES = 8, 16
"""So many new examples after so many steps."""

EMA_DECAY = 0.998
UNIFORM_SHARE = 0.3
LOG_EVERY = 50
TRAIN_TIMESTEPS = 1000
"""The transformer is told the noise level times this."""


class FlowModel(nn.Module):
    """The two trained networks of the pipeline, from token ids and noisy latents to a velocity."""

    def __init__(self, pipeline: WanPipeline) -> None:
        super().__init__()
        self.transformer: nn.Module = pipeline.transformer
        self.text_encoder: nn.Module = pipeline.text_encoder

    def forward(self, noisy: torch.Tensor, levels: torch.Tensor, examples: Examples) -> torch.Tensor:
        states = self.text_encoder(input_ids=examples.ids, attention_mask=examples.mask).last_hidden_state
        return self.transformer(
            hidden_states=noisy,
            timestep=levels * TRAIN_TIMESTEPS,
            encoder_hidden_states=states * examples.mask[..., None],  # the pipeline pads with zeros
            return_dict=False,
        )[0]


def noise_levels(count: int, generator: torch.Generator) -> torch.Tensor:
    """Levels (count,) in (0, 1): logit-normal with a uniform share, then shifted as the scheduler shifts them."""
    even = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    bell = torch.randn(count, generator=generator).sigmoid()
    levels = torch.where(torch.rand(count, generator=generator) < UNIFORM_SHARE, even, bell)
    return (FLOW_SHIFT * levels / (1 + (FLOW_SHIFT - 1) * levels)).clamp(1e-3, 1.0)


def flow_loss(model: nn.Module, examples: Examples, generator: torch.Generator) -> torch.Tensor:
    """Mean squared error of the velocity, one noise level per example."""
    levels = noise_levels(len(examples.latents), generator)
    noise = torch.randn(examples.latents.shape, generator=generator)
    mix = levels.view(-1, 1, 1, 1, 1)
    noisy = (1 - mix) * examples.latents + mix * noise
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention's backward pass is slow on a CPU, see docs/shapes.md
        velocity = model(noisy, levels, examples)
    return (velocity - (noise - examples.latents)).square().mean()


def train_transformer(
    pipeline: WanPipeline, minutes: float, seed: int, folder: Path, log: Log, save_every_s: float = 240.0
) -> None:
    """Trains the pipeline for so many processor minutes in all; a checkpoint in `folder` goes on, its time counts."""
    model = FlowModel(pipeline).train()
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimisers = Optimisers(model, _is_block_matrix)
    step, before_s = load_checkpoint(folder / "checkpoint", model, average, optimisers.all)
    own_seed = 1_000_003 * seed + step
    generator = torch.Generator().manual_seed(own_seed)
    pool = ExamplePool(pipeline, FIRST_EXAMPLES, MOST_EXAMPLES, own_seed)
    started_s, saved = time.process_time(), time.monotonic()
    elapsed = before_s
    recent: list[float] = []
    while elapsed < 60 * minutes:
        rate = optimisers.schedule(step, elapsed / (60 * minutes))
        if step % NEW_EVERY == 0:
            pool.add(NEW_EXAMPLES)
        optimisers.zero_grad()
        loss = flow_loss(model, pool.batch(BATCH), generator)
        loss.backward()
        optimisers.step()
        weight = 1 - min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(model.parameters()), weight)
        recent.append(float(loss.detach()))
        step += 1
        elapsed = before_s + time.process_time() - started_s
        if step % LOG_EVERY == 0:
            log(
                {
                    "phase": "flow",
                    "step": step,
                    "cpu_s": elapsed,
                    "loss": sum(recent) / len(recent),
                    "rate": rate,
                }
            )
            recent.clear()
        if time.monotonic() - saved > save_every_s or elapsed >= 60 * minutes:
            saved = time.monotonic()
            save_checkpoint(folder / "checkpoint", model, average, optimisers.all, step, elapsed)
            save_snapshot(pipeline, model, average, folder / "snapshot")


def _is_block_matrix(name: str, value: torch.Tensor) -> bool:
    """Matrices of attention and feed-forward layers."""
    return value.ndim == 2 and ".blocks." in name
