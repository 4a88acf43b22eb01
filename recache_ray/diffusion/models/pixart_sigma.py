"""PixArt-Sigma: classifier-free guidance in one call of a doubled batch."""

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
        is_guided(section),
        negative_prompt=section.negative_prompt,
        max_sequence_length=section.max_text_tokens,
    )
    return {
        "prompt_embeds": tokens,
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": negative,
        "negative_prompt_attention_mask": negative_mask,
    }


def _modulated(block: Any, image_tokens: Tensor, timestep: Tensor) -> Tensor:
    values = block.scale_shift_table[None] + timestep.reshape(len(image_tokens), 6, -1)
    shift, scale = values.chunk(6, dim=1)[:2]
    return block.norm1(image_tokens) * (1 + scale) + shift


PIXART_SIGMA = ModelFamily(
    kind="pixart_sigma",
    pipeline_class="PixArtSigmaPipeline",
    transformer_class="PixArtTransformer2DModel",
    stack=StackEntry(
        blocks=lambda model: model.transformer_blocks,
        batched=frozenset({"hidden_states", "encoder_hidden_states", "encoder_attention_mask", "timestep"}),
        shared=frozenset({"added_cond_kwargs", "return_dict"}),
        # the caption projection's result is reshaped to its width, so its input cannot stand for it
        block_inputs=lambda model: (),
        ends=lambda model: (model.pos_embed, model.proj_out),
        modulated=_modulated,
        time_argument="timestep",
    ),
    text_components=("text_encoder", "tokenizer"),
    encode=_encode,
    guidance_mode=GuidanceMode.DOUBLED_BATCH,
    size_multiple=lambda pipeline: lcm(8, pipeline.vae_scale_factor * pipeline.transformer.config.patch_size),
    # binning makes another size and crops it; a negative prompt has a default that clashes with embeddings
    arguments={"use_resolution_binning": False, "negative_prompt": None},
    max_text_tokens=300,
)
