"""CogVideoX text-to-video: classifier-free guidance in one call of a doubled batch."""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm

from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.family import ModelFamily, Pipeline, is_guided
from recache_ray.diffusion.guidance import GuidanceMode


def _encode(pipeline: Pipeline, text: str, section: ModelConfig) -> Mapping[str, Tensor | None]:
    tokens, negative = pipeline.encode_prompt(
        text,
        section.negative_prompt,
        is_guided(section),
        max_sequence_length=section.max_text_tokens,
    )
    return {"prompt_embeds": tokens, "negative_prompt_embeds": negative}


COGVIDEOX = ModelFamily(
    kind="cogvideox",
    pipeline_class="CogVideoXPipeline",
    transformer_class="CogVideoXTransformer3DModel",
    stack=StackEntry(
        blocks=lambda model: model.transformer_blocks,
        batched=frozenset({"hidden_states", "encoder_hidden_states", "timestep"}),
        shared=frozenset({"image_rotary_emb", "return_dict"}),
        block_inputs=lambda model: (),
        ends=lambda model: (model.patch_embed, model.proj_out),
        # the norm treats text tokens as well; one of any content will do
        modulated=lambda block, image_tokens, temb: block.norm1(image_tokens, image_tokens[:, :1], temb)[0],
    ),
    text_components=("text_encoder", "tokenizer"),
    encode=_encode,
    guidance_mode=GuidanceMode.DOUBLED_BATCH,
    size_multiple=lambda pipeline: lcm(8, pipeline.vae_scale_factor_spatial * pipeline.transformer.config.patch_size),
    # the decoder gives the first latent frame a single frame only where their number is odd
    frame_multiple=lambda pipeline: 2 * pipeline.vae_scale_factor_temporal,
    max_text_tokens=226,
)
