"""The sizes of the model, and its untrained components.

Everything but the autoencoder is diffusers' or transformers' own class, and the trained directory loads with
``diffusers.WanPipeline.from_pretrained`` wherever this package is installed.
Shapes: a video (B, 3, 9, 32, 32) becomes latents (B, 16, 3, 8, 8), and these 48 tokens of 64 features.
"""

from __future__ import annotations

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from recache_ray.diffusion.embedded_training.tokenizers import t5_tokenizer
from recache_ray.diffusion.shapes_video import MAX_SEQUENCE_LENGTH
from recache_ray.diffusion.shapes_video.codec import PatchCodec
from recache_ray.diffusion.shapes_video.scene import vocabulary_words

LATENT_CHANNELS = 16
TEXT_DIM = 64
FLOW_SHIFT = 3.0
"""Of the noise levels, as Wan 2.1 sets it for 480p."""


def build_transformer() -> WanTransformer3DModel:
    """Four blocks of 96 features; starts as the identity around its residual stream."""
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=4,
        attention_head_dim=24,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=64,
        ffn_dim=288,
        num_layers=4,
        rope_max_seq_len=32,
    )
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            if "scale_shift_table" in name or ".time_proj." in name or ".attn2.to_out." in name or "proj_out" in name:
                parameter.zero_()
    return transformer


def build_text_encoder(tokenizer: T5Tokenizer) -> UMT5EncoderModel:
    """One embedding of 64 features per token; each word has one role, so little needs to be mixed."""
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer),
            d_model=TEXT_DIM,
            d_kv=32,
            d_ff=2 * TEXT_DIM,
            num_layers=1,
            num_heads=2,
            relative_attention_num_buckets=16,
            relative_attention_max_distance=MAX_SEQUENCE_LENGTH,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            is_encoder_decoder=False,
            use_cache=False,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def build_scheduler() -> UniPCMultistepScheduler:
    """Wan 2.1's solver and settings."""
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=FLOW_SHIFT
    )


def build_pipeline(codec: PatchCodec, seed: int) -> WanPipeline:
    """A whole pipeline around a fitted codec; the rest is untrained, its weights determined by `seed`."""
    words = t5_tokenizer(MAX_SEQUENCE_LENGTH, vocabulary_words())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WanPipeline(
            scheduler=build_scheduler(),
            vae=codec,
            text_encoder=build_text_encoder(words),
            tokenizer=words,
            transformer=build_transformer(),
        )
