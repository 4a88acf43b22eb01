"""Pipelines of the real classes with random weights and a few blocks: what counts is when their blocks run.

No text encoder, no VAE: prompts are random embeddings and the output stays latent. A call takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)

from recache_ray.errors import BadInputError

_TOKENS = 4


@dataclass(frozen=True)
class TinyPipeline:
    """A pipeline to call with a number of steps.

    Attributes:
        pipe: the pipeline.
        arguments: everything a call needs but the number of steps.
        block_lists: attributes of the transformer that hold its blocks.
        forwards_per_step: transformer calls per step.
    """

    pipe: Any
    arguments: Mapping[str, Any]
    block_lists: tuple[str, ...]
    forwards_per_step: int

    def generate(self, num_steps: int) -> None:
        """One generation; the result is dropped."""
        generator = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            self.pipe(**self.arguments, num_inference_steps=num_steps, generator=generator, output_type="latent")


def tiny_pipeline(pipeline_class: str, separate_cfg: bool) -> TinyPipeline:
    """A tiny pipeline of the class a schedule was learned for, with guidance in one transformer call a step or in two.

    Raises:
        BadInputError: if there is none of this class.
    """
    if pipeline_class not in _MAKERS:
        raise BadInputError(
            f"pipeline_class = {pipeline_class!r}: exports are verified on {', '.join(_MAKERS)}; verify on the server"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tiny = _MAKERS[pipeline_class](separate_cfg)
    tiny.pipe.set_progress_bar_config(disable=True)
    return tiny


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


def _flux(separate_cfg: bool) -> TinyPipeline:
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    pipe = FluxPipeline(FlowMatchEulerDiscreteScheduler(), None, None, None, None, None, transformer)
    arguments = {
        "prompt_embeds": _random(1, _TOKENS, 8),
        "pooled_prompt_embeds": _random(1, 8),
        "height": 32,
        "width": 32,
    }
    if separate_cfg:
        arguments |= {
            "negative_prompt_embeds": _random(1, _TOKENS, 8),
            "negative_pooled_prompt_embeds": _random(1, 8),
            "true_cfg_scale": 3.0,
        }
    return TinyPipeline(pipe, arguments, ("transformer_blocks", "single_transformer_blocks"), 1 + separate_cfg)


def _wan(separate_cfg: bool) -> TinyPipeline:
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=8,
        freq_dim=16,
        ffn_dim=16,
        num_layers=4,
        cross_attn_norm=True,
        rope_max_seq_len=32,
    )
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    pipe = WanPipeline(None, None, None, scheduler, transformer)
    arguments: dict[str, Any] = {
        "prompt_embeds": _random(1, _TOKENS, 8),
        "negative_prompt_embeds": _random(1, _TOKENS, 8),
        "height": 16,
        "width": 16,
        "num_frames": 5,
        "guidance_scale": 5.0 if separate_cfg else 1.0,
    }
    return TinyPipeline(pipe, arguments, ("blocks",), 1 + separate_cfg)


def _hunyuan_video(separate_cfg: bool) -> TinyPipeline:
    if separate_cfg:
        raise BadInputError(
            "HunyuanVideoPipeline: is guidance-distilled, one forward a step; model.forwards_per_step = 2"
        )
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=2,
        num_single_layers=3,
        num_refiner_layers=1,
        patch_size=1,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
    )
    pipe = HunyuanVideoPipeline(None, None, transformer, None, FlowMatchEulerDiscreteScheduler(), None, None)
    arguments: dict[str, Any] = {
        "prompt_embeds": _random(1, _TOKENS, 16),
        "prompt_attention_mask": torch.ones(1, _TOKENS),
        "pooled_prompt_embeds": _random(1, 8),
        "height": 16,
        "width": 16,
        "num_frames": 5,
    }
    return TinyPipeline(pipe, arguments, ("transformer_blocks", "single_transformer_blocks"), 1)


_MAKERS: Mapping[str, Callable[[bool], TinyPipeline]] = {
    "FluxPipeline": _flux,
    "WanPipeline": _wan,
    "HunyuanVideoPipeline": _hunyuan_video,
}
