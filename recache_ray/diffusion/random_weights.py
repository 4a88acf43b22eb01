"""A pipeline of a published model's real shapes without its weights, for what does not depend on them: time and memory.

The transformer is whole. The autoencoder has the real one's factors and few channels, since what a step costs does not
include it. There are no text encoders: a prompt is a random embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.architecture import Architecture
from recache_ray.diffusion.device import chosen_device
from recache_ray.diffusion.families import family_of
from recache_ray.diffusion.family import ModelFamily, Pipeline, is_guided
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.errors import BadInputError

REVISION = "random weights"
_CHANNELS = 8
_VIDEO_FACTORS = 8, 4
"""Pixels and frames a latent, of the autoencoders below that make videos."""


@dataclass(frozen=True)
class _Parts:
    """How to make what surrounds the transformer, and its prompt: from the settings and the transformer's config."""

    build: Callable[[Architecture, ModelConfig, nn.Module], Pipeline]
    embed: Callable[[Mapping[str, Any], ModelConfig], dict[str, Tensor]]


def random_adapter(section: ModelConfig, architecture: Architecture, model_id: str) -> PipelineAdapter:
    """Make the model of an architecture on ``model.device``, in ``model.dtype``.

    Args:
        section: size, steps, guidance, dtype and device.
        architecture: of its transformer.
        model_id: name under which what is measured is recorded.

    Raises:
        BadInputError: if there is no such pipeline here, it is of another family, the size does not fit it, or the
            device is not there or to be offloaded from.
    """
    parts = _parts(section)
    family, device = family_of(section.kind), chosen_device(section)
    _check(section, family, architecture)
    with _made_on(device, section.dtype):
        transformer = getattr(diffusers, architecture.transformer)(**architecture.config).eval()
    with _made_on(device, family.vae_dtype or section.dtype):
        pipeline = parts.build(architecture, section, transformer)
    return PipelineAdapter(family, pipeline, section, model_id=model_id, fingerprint=REVISION)


def random_embeddings(section: ModelConfig, architecture: Architecture) -> dict[str, Tensor]:
    """A prompt of ``model.max_text_tokens`` tokens, in the shapes of ``adapter.encode``.

    Raises:
        BadInputError: as :func:`random_adapter`.
    """
    return _parts(section).embed(architecture.config, section)


def _parts(section: ModelConfig) -> _Parts:
    if section.kind not in _PARTS:
        raise BadInputError(
            f"model.kind = {section.kind!r}: no pipeline of random weights is made for it; known: {', '.join(_PARTS)}"
        )
    return _PARTS[section.kind]


def _check(section: ModelConfig, family: ModelFamily, architecture: Architecture) -> None:
    if architecture.transformer != family.transformer_class:
        raise BadInputError(
            f"{architecture.name}: has a {architecture.transformer}, model.kind = {section.kind!r} runs a "
            f"{family.transformer_class}; set model.kind to its family"
        )
    if family.is_video and (architecture.vae_spatial, architecture.vae_temporal) != _VIDEO_FACTORS:
        raise BadInputError(
            f"{architecture.name}: its autoencoder has factors {architecture.vae_spatial} and "
            f"{architecture.vae_temporal}; random weights are made for {_VIDEO_FACTORS[0]} and {_VIDEO_FACTORS[1]}"
        )
    if section.offload != "none":
        raise BadInputError(
            f"model.offload = {section.offload!r}: random weights stay where they are made; set model.offload=none"
        )


@contextmanager
def _made_on(device: str, dtype: str) -> Iterator[None]:
    """Modules made meanwhile have their parameters there at once: billions would take minutes by way of the CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _flux(architecture: Architecture, section: ModelConfig, transformer: nn.Module) -> Pipeline:
    levels = architecture.vae_spatial.bit_length()
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=(_CHANNELS,) * levels,
        latent_channels=architecture.config["in_channels"] // 4,  # the pipeline packs 2 x 2 latents into a token
        norm_num_groups=_CHANNELS // 2,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )
    return diffusers.FluxPipeline(
        diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), vae, *[None] * 4, transformer
    )


def _wan(architecture: Architecture, section: ModelConfig, transformer: nn.Module) -> Pipeline:
    vae = diffusers.AutoencoderKLWan(base_dim=_CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=section.flow_shift or 3.0
    )
    return diffusers.WanPipeline(None, None, vae, scheduler, transformer)


def _hunyuan_video(architecture: Architecture, section: ModelConfig, transformer: nn.Module) -> Pipeline:
    vae = diffusers.AutoencoderKLHunyuanVideo(
        block_out_channels=(_CHANNELS,) * 4,
        layers_per_block=1,
        norm_num_groups=_CHANNELS // 2,
        mid_block_add_attention=False,
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=section.flow_shift or 7.0)
    return diffusers.HunyuanVideoPipeline(None, None, transformer, vae, scheduler, None, None)


def _flux_prompt(config: Mapping[str, Any], section: ModelConfig) -> dict[str, Tensor]:
    return {
        "prompt_embeds": _drawn(section.max_text_tokens, config["joint_attention_dim"]),
        "pooled_prompt_embeds": _drawn(config["pooled_projection_dim"]),
    }


def _wan_prompt(config: Mapping[str, Any], section: ModelConfig) -> dict[str, Tensor]:
    tokens = section.max_text_tokens, config["text_dim"]
    negative = {"negative_prompt_embeds": _drawn(*tokens)} if is_guided(section) else {}
    return {"prompt_embeds": _drawn(*tokens), **negative}


def _hunyuan_prompt(config: Mapping[str, Any], section: ModelConfig) -> dict[str, Tensor]:
    return {
        "prompt_embeds": _drawn(section.max_text_tokens, config["text_embed_dim"]),
        "pooled_prompt_embeds": _drawn(config["pooled_projection_dim"]),
        "prompt_attention_mask": torch.ones(section.max_text_tokens, dtype=torch.int64),
    }


def _drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


_PARTS: Mapping[str, _Parts] = {
    "flux": _Parts(_flux, _flux_prompt),
    "wan": _Parts(_wan, _wan_prompt),
    "hunyuan_video": _Parts(_hunyuan_video, _hunyuan_prompt),
}
