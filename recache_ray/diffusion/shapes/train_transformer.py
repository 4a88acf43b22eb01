"""Trains the transformer and both text encoders together, by rectified flow.

With noise level s in (0, 1), data x and noise e, the input is (1 - s)·x + s·e and the target e - x plus guidance.
Shapes: tokens (B, 64, 16); text states (B, 24, 128); pooled text (B, 64); noise levels (B,).
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from diffusers import FluxPipeline
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from recache_ray.diffusion.embedded_training.journal import Log
from recache_ray.diffusion.embedded_training.noise import add_noise
from recache_ray.diffusion.embedded_training.training import Training
from recache_ray.diffusion.shapes.architecture import LATENT_SIDE, MAX_TEXT_TOKENS, SHIFT_AT_64_TOKENS
from recache_ray.diffusion.shapes.data import ExamplePool, Examples
from recache_ray.diffusion.shapes.guidance import Guidance, strength
from recache_ray.diffusion.shapes.precision import mixed_precision
from recache_ray.diffusion.shapes.snapshot import save_snapshot
from recache_ray.diffusion.shapes.team import Team

BATCH = 64
FIRST_EXAMPLES, MOST_EXAMPLES = 4_096, 24_000
NEW_EVERY, NEW_EXAMPLES = 16, 128
"""So many new examples after so many steps, over the whole team."""

LOG_EVERY = 50


class FlowModel(nn.Module):
    """The three trained networks of the pipeline, from token ids and noisy tokens to a velocity."""

    def __init__(self, pipeline: FluxPipeline) -> None:
        super().__init__()
        self.transformer: nn.Module = pipeline.transformer
        self.clip: nn.Module = pipeline.text_encoder
        self.t5: nn.Module = pipeline.text_encoder_2
        half = LATENT_SIDE // 2
        places = torch.zeros(half, half, 3)
        places[..., 1] += torch.arange(half)[:, None]
        places[..., 2] += torch.arange(half)[None, :]
        self.register_buffer("image_places", places.view(-1, 3), persistent=False)
        self.register_buffer("text_places", torch.zeros(MAX_TEXT_TOKENS, 3), persistent=False)

    def forward(self, noisy: torch.Tensor, levels: torch.Tensor, examples: Examples) -> torch.Tensor:
        return self.transformer(
            hidden_states=noisy,
            timestep=levels,
            pooled_projections=self.clip(input_ids=examples.clip_ids).pooler_output,
            encoder_hidden_states=self.t5(input_ids=examples.t5_ids).last_hidden_state,
            txt_ids=self.text_places,
            img_ids=self.image_places,
            return_dict=False,
        )[0]


def flow_loss(
    model: nn.Module, examples: Examples, generator: torch.Generator, guidance: Guidance, guided: float
) -> torch.Tensor:
    """Mean squared error of the velocity, one noise level per example; `guided` in [0, 1] scales the guidance."""
    levels, noise, noisy = add_noise(examples.latents, SHIFT_AT_64_TOKENS, generator)
    target = noise - examples.latents
    captioned, kept = guidance.blank_some(examples, generator)
    # The fused attention's backward pass took 38% of a step on a CPU; plain matrix products take a few per cent.
    with mixed_precision(), sdpa_kernel(SDPBackend.MATH):
        velocity = model(noisy, levels, captioned).float()
        if guided > 0:
            moved = guided * guidance.target(model, noisy, levels, examples, velocity)
            target = torch.where(kept.view(-1, 1, 1), target + moved, target)
    return (velocity - target).square().mean()


def train_transformer(
    start: Path, minutes: float, seed: int, folder: Path, team: Team, log: Log, save_every_s: float = 240.0
) -> None:
    """Trains the pipeline at `start` for so many minutes in all (a checkpoint's minutes count).

    Every member of the team runs this with its own examples; gradients are averaged, so all hold the same weights.
    """
    pipeline = FluxPipeline.from_pretrained(start)
    model = FlowModel(pipeline).train()
    training = Training(model, is_block_matrix, folder / "checkpoint")
    model.transformer.compile()
    guidance = Guidance(pipeline)
    personal_seed = 1_000_003 * seed + 1009 * training.step + team.rank
    generator = torch.Generator().manual_seed(personal_seed)
    pool = ExamplePool(pipeline, FIRST_EXAMPLES // team.size, MOST_EXAMPLES // team.size, personal_seed)
    started = saved = time.monotonic()
    elapsed = training.before_s
    recent: list[float] = []
    while elapsed < 60 * minutes:
        progress = elapsed / (60 * minutes)
        rate = training.optimisers.schedule(training.step, progress)
        if training.step % NEW_EVERY == 0:
            pool.add(NEW_EXAMPLES // team.size)
        training.optimisers.zero_grad()
        loss = flow_loss(model, pool.batch(BATCH // team.size), generator, guidance, strength(progress))
        loss.backward()
        leader_s = training.before_s + time.monotonic() - started
        mean, elapsed = team.average(training.optimisers.parameters, float(loss.detach()), leader_s)
        training.update()
        recent.append(mean)
        if not team.leads:
            continue
        if training.step % LOG_EVERY == 0:
            log(
                {
                    "phase": "flow",
                    "step": training.step,
                    "seconds": elapsed,
                    "loss": sum(recent) / len(recent),
                    "rate": rate,
                    "minutes_left": minutes - elapsed / 60,
                }
            )
            recent.clear()
        if time.monotonic() - saved > save_every_s or elapsed >= 60 * minutes:
            saved = time.monotonic()
            training.save(elapsed)
            save_snapshot(pipeline, model, training.average, folder / "snapshot")


def is_block_matrix(name: str, value: torch.Tensor) -> bool:
    """Matrices of attention and feed-forward layers; modulations, embedders and norms are not."""
    inside = ".transformer_blocks." in name or ".single_transformer_blocks." in name
    modulation = ".norm1.linear" in name or ".norm1_context.linear" in name or ".norm.linear" in name
    return value.ndim == 2 and inside and not modulation
