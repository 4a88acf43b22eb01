"""Training examples: latents of rendered pictures with the token ids of their captions, refreshed all the time.

Shapes: packed latents (B, 64, 16); token ids (B, 24).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from recache_ray.diffusion.shapes.architecture import (
    IMAGE_TOKENS,
    LATENT_CHANNELS,
    LATENT_SIDE,
    MAX_TEXT_TOKENS,
)
from recache_ray.diffusion.shapes.render import render
from recache_ray.diffusion.shapes.scene import Scene, caption, sample_scene

CAPITALISED_SHARE = 0.1
"""Share of captions that start with a capital letter and end with a full stop."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows belong together: what the transformer should draw, and the text it is given."""

    latents: torch.Tensor
    clip_ids: torch.Tensor
    t5_ids: torch.Tensor

    def rows(self, index: torch.Tensor) -> Examples:
        return Examples(self.latents[index], self.clip_ids[index], self.t5_ids[index])


class ExamplePool:
    """Examples of which there are more and more, up to a limit; from then on the oldest are replaced."""

    def __init__(self, pipeline: FluxPipeline, first: int, limit: int, seed: int, *, two_objects: float = 0.5) -> None:
        self._vae: AutoencoderKL = pipeline.vae
        self._tokenizers: tuple[TokenizersBackend, TokenizersBackend] = (
            pipeline.tokenizer,
            pipeline.tokenizer_2,
        )
        self._scenes, self._numbers = random.Random(seed), np.random.default_rng(seed)
        self._draws = torch.Generator().manual_seed(seed)
        self._two_objects = two_objects
        self._limit, self._made = limit, 0
        self._examples = Examples(
            torch.empty(limit, IMAGE_TOKENS, 4 * LATENT_CHANNELS),
            torch.empty(limit, MAX_TEXT_TOKENS, dtype=torch.long),
            torch.empty(limit, MAX_TEXT_TOKENS, dtype=torch.long),
        )
        while self._made < first:
            self.add(min(64, first - self._made))

    def __len__(self) -> int:
        return min(self._made, self._limit)

    def add(self, count: int) -> None:
        """Makes `count` new examples."""
        where = torch.arange(self._made, self._made + count) % self._limit
        new = self._make(count)
        self._examples.latents[where] = new.latents
        self._examples.clip_ids[where] = new.clip_ids
        self._examples.t5_ids[where] = new.t5_ids
        self._made += count

    def batch(self, size: int) -> Examples:
        """Examples drawn with replacement."""
        return self._examples.rows(torch.randint(len(self), (size,), generator=self._draws))

    def _make(self, count: int) -> Examples:
        scenes = [sample_scene(self._scenes, held_out=False, two_objects=self._two_objects) for _ in range(count)]
        pictures = np.stack([render(scene, self._numbers) for scene in scenes])
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).mul(2).sub(1)
        latents = packed_latents(self._vae, pixels)
        clip_ids, t5_ids = token_ids(self._tokenizers, [self._text(scene) for scene in scenes])
        return Examples(latents, clip_ids, t5_ids)

    def _text(self, scene: Scene) -> str:
        text = caption(scene)
        return f"{text.capitalize()}." if self._scenes.random() < CAPITALISED_SHARE else text


@torch.no_grad()
def packed_latents(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels (B, 3, 64, 64) in [-1, 1] → shifted, scaled latents, packed as the pipeline packs them."""
    latents = (vae.encode(pixels).latent_dist.mode() - vae.config["shift_factor"]) * vae.config["scaling_factor"]
    half = LATENT_SIDE // 2
    tiles = latents.view(-1, LATENT_CHANNELS, half, 2, half, 2).permute(0, 2, 4, 1, 3, 5)
    return tiles.reshape(-1, IMAGE_TOKENS, 4 * LATENT_CHANNELS)


def token_ids(
    tokenizers: tuple[TokenizersBackend, TokenizersBackend], captions: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids for the CLIP and the T5 encoder, padded to MAX_TEXT_TOKENS exactly as the pipeline pads them."""
    ids = [
        tokenizer(
            captions, padding="max_length", max_length=MAX_TEXT_TOKENS, truncation=True, return_tensors="pt"
        ).input_ids
        for tokenizer in tokenizers
    ]
    return ids[0], ids[1]
