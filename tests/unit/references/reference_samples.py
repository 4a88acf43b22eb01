"""References with arbitrary but repeatable content, shared by the tests of this folder."""

from __future__ import annotations

import numpy as np
import torch

from recache_ray.references.reference import Reference
from recache_ray.types import GenerationRequest, Prompt

IDENTITY: dict[str, str | int | float] = {"model": "tiny", "num_steps": 20, "guidance": 1.5, "scheduler": "ab12"}


def request_of(number: int, noise_seed: int = 7) -> GenerationRequest:
    return GenerationRequest(Prompt(number, f"prompt {number}"), noise_seed)


def requests_of(count: int) -> list[GenerationRequest]:
    return [request_of(number) for number in range(count)]


def make_reference(request: GenerationRequest, frames: int = 1) -> Reference:
    """A pure function of the request, as a deterministic model is."""
    pixels = np.random.default_rng([request.prompt.index, request.noise_seed])
    generator = torch.Generator().manual_seed(request.prompt.index)
    return Reference(
        request=request,
        image=pixels.integers(0, 256, (frames, 16, 12, 3), dtype=np.uint8),
        embeddings={
            "prompt_embeds": torch.randn(5, 8, generator=generator).bfloat16(),
            "pooled": torch.randn(8, generator=generator),
        },
    )


def bit_equal(left: Reference, right: Reference) -> bool:
    return (
        np.array_equal(left.image, right.image)
        and left.embeddings.keys() == right.embeddings.keys()
        and all(tensors_bit_equal(left.embeddings[name], right.embeddings[name]) for name in right.embeddings)
    )


def tensors_bit_equal(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Unlike ``torch.equal``, NaN payloads and signed zeros count."""
    same_kind = left.dtype == right.dtype and left.shape == right.shape
    return same_kind and torch.equal(left.reshape(-1).view(torch.uint8), right.reshape(-1).view(torch.uint8))
