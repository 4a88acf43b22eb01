"""The sizes of the model, and its untrained components.

Everything is diffusers' or transformers' own class, so that the trained directory loads with
``diffusers.FluxPipeline.from_pretrained`` and nothing of this package.
Shapes: an image (B, 3, 64, 64) becomes latents (B, 4, 16, 16), packed two by two into 64 tokens of 16 features.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from recache_ray.diffusion.embedded_training.tokenizers import clip_tokenizer, t5_tokenizer
from recache_ray.diffusion.shapes import MAX_SEQUENCE_LENGTH
from recache_ray.diffusion.shapes.scene import vocabulary_words

MAX_TEXT_TOKENS = MAX_SEQUENCE_LENGTH
"""Both encoders always see this many tokens, padded without a mask, in training and in use."""

LATENT_CHANNELS = 4
LATENT_SIDE = 16
IMAGE_TOKENS = (LATENT_SIDE // 2) ** 2
JOINT_DIM = 128
POOLED_DIM = 64
_LOOKS_BACK: tuple[tuple[int, ...], ...] = ((4,), (3,), (5,), (1, 2))
"""How many words back each of T5's heads looks at first."""

SHIFT_AT_64_TOKENS = 1.595
"""What FLUX.1-dev's resolution-dependent shift of the noise levels comes to at 64 tokens."""


def build_vae() -> AutoencoderKL:
    """Image ↔ latents: three levels, a factor of four, fully convolutional (any multiple of 8 pixels works)."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def build_transformer() -> FluxTransformer2DModel:
    """Two double and four single blocks, 128 features; starts as the identity around its residual stream."""
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * LATENT_CHANNELS,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=32,
        num_attention_heads=4,
        joint_attention_dim=JOINT_DIM,
        pooled_projection_dim=POOLED_DIM,
        guidance_embeds=False,
        axes_dims_rope=(8, 12, 12),
    )
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            modulation = ".norm1.linear." in name or ".norm1_context.linear." in name or ".norm.linear." in name
            if modulation or name.startswith(("norm_out.linear", "proj_out")):
                parameter.zero_()
    return transformer


def build_clip(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Causal encoder; its state at the end token is the pooled embedding of 64 features."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=POOLED_DIM,
            intermediate_size=4 * POOLED_DIM,
            projection_dim=POOLED_DIM,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=MAX_TEXT_TOKENS,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_t5(tokenizer: TokenizersBackend) -> T5EncoderModel:
    """Bidirectional encoder: one embedding of 128 features per token.

    Its heads start out looking at fixed distances, so that the word naming a place soon knows the size, colour and
    shape named 5, 4 and 3 words before it. From T5's own start (content alone, unscaled) that was not learned in 4,000
    steps, and captions with two objects were drawn with exchanged attributes.
    """
    encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=JOINT_DIM,
            d_kv=32,
            d_ff=2 * JOINT_DIM,
            num_layers=2,
            num_heads=len(_LOOKS_BACK),
            relative_attention_num_buckets=32,
            relative_attention_max_distance=MAX_TEXT_TOKENS,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            is_encoder_decoder=False,
            use_cache=False,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    first = encoder.encoder.block[0].layer[0].SelfAttention
    with torch.no_grad():
        first.q.weight.zero_()
        first.relative_attention_bias.weight.zero_()
        for head, distances in enumerate(_LOOKS_BACK):
            for distance in distances:  # up to 7 words back, the bucket's number is the distance
                first.relative_attention_bias.weight[distance, head] = 6.0
    return encoder


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """FLUX.1-dev's scheduler settings."""
    return FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )


def build_pipeline(vae: AutoencoderKL, seed: int) -> FluxPipeline:
    """A whole pipeline around a trained autoencoder; the rest is untrained, its weights determined by `seed`."""
    clip_words: CLIPTokenizer = clip_tokenizer(MAX_TEXT_TOKENS, vocabulary_words())
    t5_words: T5Tokenizer = t5_tokenizer(MAX_TEXT_TOKENS, vocabulary_words())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FluxPipeline(
            scheduler=build_scheduler(),
            vae=vae,
            text_encoder=build_clip(clip_words),
            tokenizer=clip_words,
            text_encoder_2=build_t5(t5_words),
            tokenizer_2=t5_words,
            transformer=build_transformer(),
        )
