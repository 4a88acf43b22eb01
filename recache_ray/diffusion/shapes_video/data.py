"""Training examples: latents of rendered videos with the token ids of their captions, refreshed all the time.

Shapes: normalised latents (B, 16, 3, 8, 8); token ids and their mask (B, 16).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import WanPipeline
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from recache_ray.diffusion.shapes_video import MAX_SEQUENCE_LENGTH
from recache_ray.diffusion.shapes_video.codec import PatchCodec
from recache_ray.diffusion.shapes_video.render import render
from recache_ray.diffusion.shapes_video.scene import MovingScene, caption, sample_scene

BLANK_SHARE = 0.1
"""Share of examples that are trained without their caption, for classifier-free guidance."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows belong together: what the transformer should make, and the text it is given."""

    latents: torch.Tensor
    ids: torch.Tensor
    mask: torch.Tensor

    def rows(self, index: torch.Tensor) -> Examples:
        return Examples(self.latents[index], self.ids[index], self.mask[index])


class ExamplePool:
    """Examples of which there are more and more, up to a limit; from then on the oldest are replaced."""

    def __init__(self, pipeline: WanPipeline, first: int, limit: int, seed: int) -> None:
        self._codec: PatchCodec = pipeline.vae
        self._tokenizer: TokenizersBackend = pipeline.tokenizer
        self._scenes, self._numbers = random.Random(seed), np.random.default_rng(seed)
        self._draws = torch.Generator().manual_seed(seed)
        self._limit = limit
        self._examples = self._make(first)
        self._next = first % limit

    def __len__(self) -> int:
        return len(self._examples.latents)

    def add(self, count: int) -> None:
        """Makes `count` new examples."""
        new, old = self._make(count), self._examples
        if len(self) + count <= self._limit:
            pairs = ((old.latents, new.latents), (old.ids, new.ids), (old.mask, new.mask))
            self._examples = Examples(*(torch.cat(pair) for pair in pairs))
            return
        where = torch.arange(self._next, self._next + count) % len(self)
        old.latents[where], old.ids[where], old.mask[where] = new.latents, new.ids, new.mask
        self._next = (self._next + count) % len(self)

    def batch(self, size: int) -> Examples:
        """Examples drawn with replacement."""
        return self._examples.rows(torch.randint(len(self), (size,), generator=self._draws))

    def _make(self, count: int) -> Examples:
        scenes = [sample_scene(self._scenes, held_out=False) for _ in range(count)]
        pixels = rendered_pixels(scenes, self._numbers)
        texts = ["" if self._scenes.random() < BLANK_SHARE else caption(scene) for scene in scenes]
        return Examples(normalised_latents(self._codec, pixels), *token_ids(self._tokenizer, texts))


def rendered_pixels(scenes: Sequence[MovingScene], numbers: np.random.Generator) -> torch.Tensor:
    """Videos of the scenes, (B, 3, 9, 32, 32) in [-1, 1]."""
    videos = np.stack([render(scene, numbers) for scene in scenes])
    return torch.from_numpy(videos).permute(0, 4, 1, 2, 3).mul(2).sub(1)


@torch.no_grad()
def normalised_latents(codec: PatchCodec, pixels: torch.Tensor) -> torch.Tensor:
    """Videos (B, 3, 9, 32, 32) in [-1, 1] → latents as the pipeline's own loop has them."""
    mean, spread = (torch.tensor(codec.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    return (codec.encode(pixels) - mean) / spread


def token_ids(tokenizer: TokenizersBackend, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, padded to MAX_SEQUENCE_LENGTH exactly as the pipeline pads them."""
    words = tokenizer(
        captions, padding="max_length", max_length=MAX_SEQUENCE_LENGTH, truncation=True, return_tensors="pt"
    )
    return words.input_ids, words.attention_mask
