"""Qwen-Image: classifier-free guidance in two calls a step, with prompts of different lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.family import ModelFamily, Pipeline, is_guided
from recache_ray.diffusion.guidance import GuidanceMode


def _encode(pipeline: Pipeline, text: str, section: ModelConfig) -> Mapping[str, Tensor | None]:
    named = {"": text, "negative_": section.negative_prompt or " "} if is_guided(section) else {"": text}
    encoded: dict[str, Tensor | None] = {}
    for prefix, prompt in named.items():
        tokens, mask = pipeline.encode_prompt(prompt, max_sequence_length=section.max_text_tokens)
        encoded[f"{prefix}prompt_embeds"] = tokens
        # the pipeline leaves out a mask without gaps, and warns where it is given none
        encoded[f"{prefix}prompt_embeds_mask"] = (
            torch.ones(tokens.shape[:2], dtype=torch.long) if mask is None else mask
        )
    return encoded


def _modulated(block: Any, image_tokens: Tensor, temb: Tensor) -> Tensor:
    return block._modulate(block.img_norm1(image_tokens), block.img_mod(temb).chunk(2, dim=-1)[0])[0]


QWEN_IMAGE = ModelFamily(
    kind="qwen_image",
    pipeline_class="QwenImagePipeline",
    transformer_class="QwenImageTransformer2DModel",
    stack=StackEntry(
        blocks=lambda model: model.transformer_blocks,
        batched=frozenset(
            {"hidden_states", "encoder_hidden_states", "encoder_hidden_states_mask", "timestep", "guidance"}
        ),
        # img_shapes has an entry for every row, but all are the same and only the first is read
        shared=frozenset({"img_shapes", "return_dict"}),
        block_inputs=lambda model: (model.txt_norm, model.txt_in),
        ends=lambda model: (model.img_in, model.proj_out),
        modulated=_modulated,
    ),
    text_components=("text_encoder", "tokenizer"),
    encode=_encode,
    guidance_mode=GuidanceMode.TWO_CALLS,
    guidance_argument="true_cfg_scale",
    size_multiple=lambda pipeline: 2 * pipeline.vae_scale_factor,
    max_text_tokens=1024,
)
