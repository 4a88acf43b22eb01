"""FLUX.1 (dev, and the embedded model): guidance is an input of the distilled transformer, one call a step."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.family import ModelFamily, Pipeline
from recache_ray.diffusion.guidance import GuidanceMode


def _encode(pipeline: Pipeline, text: str, section: ModelConfig) -> Mapping[str, Tensor | None]:
    tokens, pooled, _ = pipeline.encode_prompt(prompt=text, max_sequence_length=section.max_text_tokens)
    return {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}


FLUX = ModelFamily(
    kind="flux",
    pipeline_class="FluxPipeline",
    transformer_class="FluxTransformer2DModel",
    stack=StackEntry(
        blocks=lambda model: (*model.transformer_blocks, *model.single_transformer_blocks),
        batched=frozenset({"hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "guidance"}),
        shared=frozenset({"img_ids", "txt_ids", "return_dict", "controlnet_blocks_repeat"}),
        block_inputs=lambda model: (model.context_embedder, model.pos_embed),
        ends=lambda model: (model.x_embedder, model.proj_out),
        modulated=lambda block, image_tokens, temb: block.norm1(image_tokens, emb=temb)[0],
    ),
    text_components=("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"),
    encode=_encode,
    guidance_mode=GuidanceMode.EMBEDDED,
    size_multiple=lambda pipeline: 2 * pipeline.vae_scale_factor,
    max_text_tokens=512,
)
