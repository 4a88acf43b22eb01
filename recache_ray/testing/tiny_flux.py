"""A real FLUX pipeline small enough for a test: random weights, 16 x 16 pixels, 16 image tokens."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.embedded_training.tokenizers import clip_tokenizer, t5_tokenizer
from recache_ray.diffusion.families import family_of
from recache_ray.diffusion.family import Pipeline
from recache_ray.diffusion.fingerprint import state_fingerprint
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.diffusion.shapes.scene import vocabulary_words

TEXT_TOKENS = 16
SIDE = 16
_JOINT_DIM = 24
_POOLED_DIM = 16


def tiny_flux_pipeline(seed: int = 0, *, num_layers: int = 1, num_single_layers: int = 2) -> Pipeline:
    """A complete pipeline, text encoders and tokenizers included; the weights are a function of ``seed``.

    It works without any file or download; ``save_pretrained`` gives a folder that ``load_model`` takes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        words = vocabulary_words()
        clip_words, t5_words = clip_tokenizer(TEXT_TOKENS, words), t5_tokenizer(TEXT_TOKENS, words)
        pipeline: Pipeline = FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
            vae=AutoencoderKL(
                down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
                up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
                block_out_channels=(8, 8),
                layers_per_block=1,
                latent_channels=4,
                norm_num_groups=4,
                use_quant_conv=False,
                use_post_quant_conv=False,
                mid_block_add_attention=False,
                scaling_factor=1.0,
                shift_factor=0.0,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=len(clip_words),
                    hidden_size=_POOLED_DIM,
                    intermediate_size=32,
                    projection_dim=_POOLED_DIM,
                    num_hidden_layers=1,
                    num_attention_heads=2,
                    max_position_embeddings=TEXT_TOKENS,
                    bos_token_id=clip_words.bos_token_id,
                    eos_token_id=clip_words.eos_token_id,
                    pad_token_id=clip_words.pad_token_id,
                )
            ),
            tokenizer=clip_words,
            text_encoder_2=T5EncoderModel(
                T5Config(
                    vocab_size=len(t5_words),
                    d_model=_JOINT_DIM,
                    d_kv=12,
                    d_ff=48,
                    num_layers=1,
                    num_heads=2,
                    is_encoder_decoder=False,
                    use_cache=False,
                    pad_token_id=t5_words.pad_token_id,
                    eos_token_id=t5_words.eos_token_id,
                )
            ),
            tokenizer_2=t5_words,
            transformer=FluxTransformer2DModel(
                patch_size=1,
                in_channels=16,
                num_layers=num_layers,
                num_single_layers=num_single_layers,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=_JOINT_DIM,
                pooled_projection_dim=_POOLED_DIM,
                guidance_embeds=False,
                axes_dims_rope=(4, 6, 6),
            ),
        )
    _strengthen(pipeline)
    for component in (pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.transformer):
        component.eval()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_adapter(num_steps: int = 8, seed: int = 0, *, guidance_scale: float = 1.0) -> PipelineAdapter:
    """A :class:`PipelineAdapter` over :func:`tiny_flux_pipeline`; prompts can be encoded, nothing is read from disk."""
    pipeline = tiny_flux_pipeline(seed)
    section = ModelConfig(
        kind="flux",
        path="tiny-flux",
        num_steps=num_steps,
        height=SIDE,
        width=SIDE,
        guidance_scale=guidance_scale,
        max_text_tokens=TEXT_TOKENS,
        device="cpu",
    )
    return PipelineAdapter(
        family_of("flux"),
        pipeline,
        section,
        model_id="tiny-flux",
        fingerprint=state_fingerprint(
            pipeline.transformer, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2
        ),
        load_text_pipeline=lambda: pipeline,
    )


@torch.no_grad()
def _strengthen(pipeline: Pipeline) -> None:
    """Make pictures contrasty, and residuals vary from step to step, so that schedules differ visibly."""
    for name, parameter in pipeline.transformer.named_parameters():
        if ".linear." in name and not name.startswith("norm_out"):
            parameter.mul_(4)
        elif name.startswith("proj_out"):
            parameter.mul_(2)
    pipeline.vae.decoder.conv_out.weight.mul_(2)
