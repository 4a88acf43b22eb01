"""Stable Diffusion 3 and 3.5: classifier-free guidance in one call of a doubled batch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.family import ModelFamily, Pipeline, is_guided
from recache_ray.diffusion.guidance import GuidanceMode


def _encode(pipeline: Pipeline, text: str, section: ModelConfig) -> Mapping[str, Tensor | None]:
    tokens, negative, pooled, negative_pooled = pipeline.encode_prompt(
        prompt=text,
        prompt_2=None,
        prompt_3=None,
        negative_prompt=section.negative_prompt,
        do_classifier_free_guidance=is_guided(section),
        max_sequence_length=section.max_text_tokens,
    )
    return {
        "prompt_embeds": tokens,
        "negative_prompt_embeds": negative,
        "pooled_prompt_embeds": pooled,
        "negative_pooled_prompt_embeds": negative_pooled,
    }


SD3 = ModelFamily(
    kind="sd3",
    pipeline_class="StableDiffusion3Pipeline",
    transformer_class="SD3Transformer2DModel",
    stack=StackEntry(
        blocks=lambda model: model.transformer_blocks,
        batched=frozenset({"hidden_states", "encoder_hidden_states", "pooled_projections", "timestep"}),
        shared=frozenset({"return_dict"}),
        block_inputs=lambda model: (model.context_embedder,),
        ends=lambda model: (model.pos_embed, model.proj_out),
        modulated=lambda block, image_tokens, temb: block.norm1(image_tokens, emb=temb)[0],
    ),
    text_components=(
        "text_encoder",
        "text_encoder_2",
        "text_encoder_3",
        "tokenizer",
        "tokenizer_2",
        "tokenizer_3",
    ),
    encode=_encode,
    guidance_mode=GuidanceMode.DOUBLED_BATCH,
    size_multiple=lambda pipeline: pipeline.vae_scale_factor * pipeline.patch_size,
    max_text_tokens=512,
)
