"""Runs of a tiny FLUX pipeline that end in latents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import SIDE

NUM_STEPS = 7


def latents(pipe: Any, embeds: dict[str, Tensor], *, count: int = 1, seed: int = 3, **options: Any) -> Tensor:
    """One pipeline call for ``count`` rows of the same prompt and noise; final latents [count, N, C]."""
    repeated = {name: tensor.repeat(count, *[1] * (tensor.ndim - 1)) for name, tensor in embeds.items()}
    generators = [torch.Generator().manual_seed(seed) for _ in range(count)]
    call = {"height": SIDE, "width": SIDE, "num_inference_steps": NUM_STEPS, "output_type": "latent"}
    return pipe(**repeated, generator=generators, **{**call, **options}).images


def schedule(*steps: int, num_steps: int = NUM_STEPS) -> Schedule:
    return Schedule(num_steps, tuple(steps))
