"""Tiny pipelines that make images."""

from __future__ import annotations

from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)

from recache_ray.diffusion.family import Pipeline
from recache_ray.testing.tiny.text import clip_encoder, qwen_encoder, t5_encoder, word_tokenizer, words_before_prompt


def sd3() -> Pipeline:
    """Stable Diffusion 3.5; its first block has the second attention of the medium model."""
    return StableDiffusion3Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_image_autoencoder(),
        text_encoder=clip_encoder(16, projected=True),
        tokenizer=word_tokenizer(),
        text_encoder_2=clip_encoder(16, projected=True),
        tokenizer_2=word_tokenizer(),
        text_encoder_3=t5_encoder(32),
        tokenizer_3=word_tokenizer(),
        transformer=SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=3,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            caption_projection_dim=32,
            pooled_projection_dim=32,
            pos_embed_max_size=8,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        ),
    )


def pixart_sigma() -> Pipeline:
    """PixArt-Sigma with the multi-step solver of its authors."""
    return PixArtSigmaPipeline(
        scheduler=DPMSolverMultistepScheduler(),
        vae=_image_autoencoder(),
        text_encoder=t5_encoder(32),
        tokenizer=word_tokenizer(),
        transformer=PixArtTransformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=8,
            num_layers=3,
            attention_head_dim=12,
            num_attention_heads=2,
            cross_attention_dim=24,
            caption_channels=32,
            use_additional_conditions=False,
        ),
    )


def qwen_image() -> Pipeline:
    """Qwen-Image; the tokenizer makes up for the words of the template that a real one splits."""
    pipeline: Pipeline = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 2, 2],
            num_res_blocks=1,
            temperal_downsample=[False, True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=qwen_encoder(16),
        tokenizer=word_tokenizer(),
        transformer=QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=3,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        ),
    )
    lead = pipeline.prompt_template_encode_start_idx - words_before_prompt(pipeline.prompt_template_encode)
    pipeline.tokenizer = word_tokenizer(lead=lead)
    return pipeline


def _image_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )
