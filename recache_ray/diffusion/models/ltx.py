"""LTX-Video text-to-video: classifier-free guidance in one call of a doubled batch."""

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
    tokens, mask, negative, negative_mask = pipeline.encode_prompt(
        text,
        section.negative_prompt,
        is_guided(section),
        max_sequence_length=section.max_text_tokens,
    )
    return {
        "prompt_embeds": tokens,
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": negative,
        "negative_prompt_attention_mask": negative_mask,
    }


def _modulated(block: Any, image_tokens: Tensor, temb: Tensor) -> Tensor:
    table = block.scale_shift_table
    shift, scale = (table + temb.unflatten(2, (len(table), -1))).unbind(dim=2)[:2]
    return block.norm1(image_tokens) * (1 + scale) + shift


LTX = ModelFamily(
    kind="ltx",
    pipeline_class="LTXPipeline",
    transformer_class="LTXVideoTransformer3DModel",
    stack=StackEntry(
        blocks=lambda model: model.transformer_blocks,
        batched=frozenset({"hidden_states", "encoder_hidden_states", "timestep", "encoder_attention_mask"}),
        shared=frozenset({"num_frames", "height", "width", "rope_interpolation_scale", "return_dict"}),
        # the caption projection's result is reshaped to its width, so its input cannot stand for it
        block_inputs=lambda model: (model.rope,),
        ends=lambda model: (model.proj_in, model.proj_out),
        modulated=_modulated,
    ),
    text_components=("text_encoder", "tokenizer"),
    encode=_encode,
    guidance_mode=GuidanceMode.DOUBLED_BATCH,
    size_multiple=lambda pipeline: lcm(32, pipeline.vae_spatial_compression_ratio),
    frame_multiple=lambda pipeline: pipeline.vae_temporal_compression_ratio,
    max_text_tokens=256,
)
