"""A tiny pipeline of every family behind its adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.families import family_of
from recache_ray.diffusion.family import Pipeline
from recache_ray.diffusion.fingerprint import state_fingerprint
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.testing.tiny import images, videos
from recache_ray.testing.tiny.text import TEXT_TOKENS
from recache_ray.testing.tiny_flux import tiny_flux_pipeline

NUM_STEPS = 6


@dataclass(frozen=True)
class TinyModel:
    """How to make one, and the smallest sizes its pipeline takes."""

    build: Callable[[], Pipeline]
    side: int = 16
    frames: int = 1
    guidance_scale: float = 3.0


TINY: Mapping[str, TinyModel] = {
    "flux": TinyModel(lambda: tiny_flux_pipeline(torch.initial_seed())),
    "wan": TinyModel(videos.wan, side=32, frames=5),
    "hunyuan_video": TinyModel(videos.hunyuan_video, frames=5),
    "sd3": TinyModel(images.sd3),
    "pixart_sigma": TinyModel(images.pixart_sigma),
    "cogvideox": TinyModel(videos.cogvideox, side=32, frames=9),
    "qwen_image": TinyModel(images.qwen_image, side=32),
    "ltx": TinyModel(videos.ltx, side=32, frames=5),
}
"""By ``model.kind``."""


def tiny_section(kind: str, **changes: object) -> ModelConfig:
    """The settings that a tiny pipeline of this kind is run with."""
    model = TINY[kind]
    section = ModelConfig(
        kind=kind,
        path=f"tiny-{kind}",
        device="cpu",
        num_steps=NUM_STEPS,
        height=model.side,
        width=model.side,
        frames=model.frames,
        guidance_scale=model.guidance_scale,
        max_text_tokens=TEXT_TOKENS,
    )
    return replace(section, **changes)  # type: ignore[arg-type]


def tiny_pipeline(kind: str, seed: int = 0) -> Pipeline:
    """A complete pipeline, text encoders and tokenizers included; the weights are a function of ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = TINY[kind].build()
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval()
    return pipeline


def tiny_model(kind: str, seed: int = 0, *, pipeline: Pipeline | None = None, **changes: object) -> PipelineAdapter:
    """An adapter over :func:`tiny_pipeline` or another pipeline; prompts can be encoded, nothing is read from disk."""
    section = tiny_section(kind, **changes)
    made = (pipeline if pipeline is not None else tiny_pipeline(kind, seed)).to(section.device)
    return PipelineAdapter(
        family_of(kind),
        made,
        section,
        model_id=f"tiny-{kind}",
        fingerprint=state_fingerprint(made.transformer, made.vae),
        load_text_pipeline=lambda: made,
    )
