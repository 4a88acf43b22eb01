"""Wan 2.1 text-to-video: classifier-free guidance in two calls a step, named ``cond`` and ``uncond``."""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm
from typing import Any

from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.family import ModelFamily, Pipeline, is_guided
from recache_ray.diffusion.guidance import GuidanceMode


def _encode(pipeline: Pipeline, text: str, section: ModelConfig) -> Mapping[str, Tensor | None]:
    tokens, negative = pipeline.encode_prompt(
        prompt=text,
        negative_prompt=section.negative_prompt,
        do_classifier_free_guidance=is_guided(section),
        max_sequence_length=section.max_text_tokens,
    )
    return {"prompt_embeds": tokens, "negative_prompt_embeds": negative}


def _modulated(block: Any, image_tokens: Tensor, temb: Tensor) -> Tensor:
    shift, scale = (block.scale_shift_table + temb.float()).chunk(6, dim=1)[:2]
    return (block.norm1(image_tokens.float()) * (1 + scale) + shift).type_as(image_tokens)


WAN = ModelFamily(
    kind="wan",
    pipeline_class="WanPipeline",
    transformer_class="WanTransformer3DModel",
    stack=StackEntry(
        blocks=lambda model: model.blocks,
        batched=frozenset({"hidden_states", "timestep", "encoder_hidden_states", "encoder_hidden_states_image"}),
        shared=frozenset({"return_dict"}),
        block_inputs=lambda model: (model.rope, model.condition_embedder.text_embedder),
        ends=lambda model: (model.patch_embedding, model.proj_out),
        modulated=_modulated,
    ),
    text_components=("text_encoder", "tokenizer"),
    encode=_encode,
    guidance_mode=GuidanceMode.TWO_CALLS,
    size_multiple=lambda pipeline: lcm(
        16, pipeline.vae_scale_factor_spatial * pipeline.transformer.config.patch_size[1]
    ),
    frame_multiple=lambda pipeline: pipeline.vae_scale_factor_temporal,
    max_text_tokens=512,
    vae_dtype="float32",
)
