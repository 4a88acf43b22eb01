"""Text encoders and tokenizers of tiny pipelines: real classes, random weights."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from recache_ray.diffusion.shapes.scene import vocabulary_words

TEXT_TOKENS = 16
_PAD, _END, _UNKNOWN, _LEAD = "<pad>", "</s>", "<unk>", "<s>"
_SPECIAL = (_PAD, _END, _UNKNOWN, _LEAD)
_VOCABULARY = {word: number for number, word in enumerate((*_SPECIAL, *vocabulary_words()))}


def word_tokenizer(max_tokens: int = TEXT_TOKENS, lead: int = 0) -> PreTrainedTokenizerFast:
    """One token a word, with ``lead`` tokens before the text: pipelines cut a fixed number off their template."""
    words = Tokenizer(WordLevel(_VOCABULARY, unk_token=_UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if lead:
        words.post_processor = processors.TemplateProcessing(
            single=f"{_LEAD} " * lead + "$A", special_tokens=[(_LEAD, _VOCABULARY[_LEAD])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=_PAD,
        eos_token=_END,
        unk_token=_UNKNOWN,
        bos_token=_LEAD,
        model_max_length=max_tokens,
    )


def words_before_prompt(template: str) -> int:
    """How many tokens of :func:`word_tokenizer` a prompt template puts before the prompt."""
    return len(template.split("{}")[0].split())


def t5_encoder(width: int) -> T5EncoderModel:
    """A T5 encoder of one layer."""
    return T5EncoderModel(T5Config(**_t5_sizes(width)))


def umt5_encoder(width: int) -> UMT5EncoderModel:
    """A UMT5 encoder of one layer."""
    return UMT5EncoderModel(UMT5Config(**_t5_sizes(width)))


def clip_encoder(width: int, *, projected: bool = False) -> CLIPTextModel | CLIPTextModelWithProjection:
    """A CLIP text encoder of one layer."""
    config = CLIPTextConfig(
        vocab_size=len(_VOCABULARY),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=_VOCABULARY[_LEAD],
        eos_token_id=_VOCABULARY[_END],
        pad_token_id=_VOCABULARY[_PAD],
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def llama_encoder(width: int) -> LlamaModel:
    """A Llama of three layers; HunyuanVideo reads the third state from the end."""
    return LlamaModel(
        LlamaConfig(
            vocab_size=len(_VOCABULARY),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=2,
            pad_token_id=_VOCABULARY[_PAD],
            bos_token_id=_VOCABULARY[_LEAD],
            eos_token_id=_VOCABULARY[_END],
        )
    )


def qwen_encoder(width: int) -> Qwen2_5_VLForConditionalGeneration:
    """A Qwen 2.5 VL of two layers."""
    text: dict[str, Any] = {
        "vocab_size": len(_VOCABULARY),
        "hidden_size": width,
        "intermediate_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
        "rope_theta": 1_000_000.0,
        "pad_token_id": _VOCABULARY[_PAD],
        "bos_token_id": _VOCABULARY[_LEAD],
        "eos_token_id": _VOCABULARY[_END],
    }
    vision = {"depth": 1, "hidden_size": width, "intermediate_size": width, "num_heads": 2, "out_hidden_size": width}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))


def _t5_sizes(width: int) -> dict[str, Any]:
    return {
        "vocab_size": len(_VOCABULARY),
        "d_model": width,
        "d_kv": width // 2,
        "d_ff": 2 * width,
        "num_layers": 1,
        "num_heads": 2,
        "is_encoder_decoder": False,
        "use_cache": False,
        "pad_token_id": _VOCABULARY[_PAD],
        "eos_token_id": _VOCABULARY[_END],
    }
