"""HunyuanVideo text-to-video: guidance is an input of the distilled transformer, one call a step."""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm

from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.family import ModelFamily, Pipeline
from recache_ray.diffusion.guidance import GuidanceMode


def _encode(pipeline: Pipeline, text: str, section: ModelConfig) -> Mapping[str, Tensor | None]:
    tokens, pooled, mask = pipeline.encode_prompt(prompt=text, max_sequence_length=section.max_text_tokens)
    return {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled, "prompt_attention_mask": mask}


HUNYUAN_VIDEO = ModelFamily(
    kind="hunyuan_video",
    pipeline_class="HunyuanVideoPipeline",
    transformer_class="HunyuanVideoTransformer3DModel",
    stack=StackEntry(
        blocks=lambda model: (*model.transformer_blocks, *model.single_transformer_blocks),
        batched=frozenset(
            {
                "hidden_states",
                "timestep",
                "encoder_hidden_states",
                "encoder_attention_mask",
                "pooled_projections",
                "guidance",
            }
        ),
        shared=frozenset({"return_dict"}),
        block_inputs=lambda model: (model.rope, model.context_embedder),
        ends=lambda model: (model.x_embedder, model.proj_out),
        modulated=lambda block, image_tokens, temb: block.norm1(image_tokens, emb=temb)[0],
    ),
    text_components=("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"),
    encode=_encode,
    guidance_mode=GuidanceMode.EMBEDDED,
    size_multiple=lambda pipeline: lcm(16, pipeline.vae_scale_factor_spatial * pipeline.transformer.config.patch_size),
    frame_multiple=lambda pipeline: pipeline.vae_scale_factor_temporal,
    max_text_tokens=512,
)
