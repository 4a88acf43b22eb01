"""Trains the transformer and the text encoder together, by rectified flow.

With noise level s in (0, 1), data x and noise e, the input is (1 - s)·x + s·e and the target e - x.
Shapes: latents (B, 16, 3, 8, 8); text states (B, 16, 64); noise levels (B,).
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from diffusers import WanPipeline
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from recache_ray.diffusion.embedded_training.journal import Log
from recache_ray.diffusion.embedded_training.noise import add_noise
from recache_ray.diffusion.embedded_training.training import Training
from recache_ray.diffusion.shapes_video.architecture import FLOW_SHIFT
from recache_ray.diffusion.shapes_video.data import ExamplePool, Examples
from recache_ray.diffusion.shapes_video.snapshot import save_snapshot

BATCH = 24
FIRST_EXAMPLES, MOST_EXAMPLES = 1_024, 8_000
NEW_EVERY, NEW_EXAMPLES = 8, 16
"""So many new examples after so many steps."""

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


def flow_loss(model: nn.Module, examples: Examples, generator: torch.Generator) -> torch.Tensor:
    """Mean squared error of the velocity, one noise level per example."""
    levels, noise, noisy = add_noise(examples.latents, FLOW_SHIFT, generator)
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention's backward pass is slow on a CPU, see docs/shapes.md
        velocity = model(noisy, levels, examples)
    return (velocity - (noise - examples.latents)).square().mean()


def train_transformer(
    pipeline: WanPipeline, minutes: float, seed: int, folder: Path, log: Log, save_every_s: float = 240.0
) -> None:
    """Trains the pipeline for so many processor minutes in all; a checkpoint in `folder` goes on, its time counts."""
    model = FlowModel(pipeline).train()
    training = Training(model, is_block_matrix, folder / "checkpoint")
    own_seed = 1_000_003 * seed + training.step
    generator = torch.Generator().manual_seed(own_seed)
    pool = ExamplePool(pipeline, FIRST_EXAMPLES, MOST_EXAMPLES, own_seed)
    started_s, saved = time.process_time(), time.monotonic()
    elapsed = training.before_s
    recent: list[float] = []
    while elapsed < 60 * minutes:
        rate = training.optimisers.schedule(training.step, elapsed / (60 * minutes))
        if training.step % NEW_EVERY == 0:
            pool.add(NEW_EXAMPLES)
        training.optimisers.zero_grad()
        loss = flow_loss(model, pool.batch(BATCH), generator)
        loss.backward()
        training.update()
        recent.append(float(loss.detach()))
        elapsed = training.before_s + time.process_time() - started_s
        if training.step % LOG_EVERY == 0:
            log(
                {
                    "phase": "flow",
                    "step": training.step,
                    "cpu_s": elapsed,
                    "loss": sum(recent) / len(recent),
                    "rate": rate,
                }
            )
            recent.clear()
        if time.monotonic() - saved > save_every_s or elapsed >= 60 * minutes:
            saved = time.monotonic()
            training.save(elapsed)
            save_snapshot(pipeline, model, training.average, folder / "snapshot")


def is_block_matrix(name: str, value: torch.Tensor) -> bool:
    """Matrices of attention and feed-forward layers."""
    return value.ndim == 2 and ".blocks." in name
