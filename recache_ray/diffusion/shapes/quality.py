"""The quality model of ``shapes``: a small open_clip model in the folder layout that open_clip loads by itself.

``open_clip.create_model("local-dir:" + str(quality_path()), load_weights=True)`` gives it; a rollout worker gets it
through the same class as HPSv2 (:mod:`recache_ray.metrics.quality.open_clip`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import nn

from recache_ray.diffusion.embedded_training.tokenizers import clip_tokenizer
from recache_ray.diffusion.shapes import RESOLUTION_PX, quality_path
from recache_ray.diffusion.shapes.architecture import MAX_TEXT_TOKENS
from recache_ray.diffusion.shapes.scene import vocabulary_words

MEAN, DEVIATION = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
"""Normalisation of pixels in 0..1."""


def quality_config() -> dict[str, Any]:
    """open_clip's description of the model: 0.5 million parameters, a narrow ResNet and two layers of text."""
    tokenizer = clip_tokenizer(MAX_TEXT_TOKENS, vocabulary_words())
    return {
        "model_cfg": {
            "embed_dim": 96,
            "vision_cfg": {"image_size": RESOLUTION_PX, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
            "text_cfg": {
                "context_length": MAX_TEXT_TOKENS,
                "vocab_size": len(tokenizer),
                "hf_tokenizer_name": "shapes",
                "tokenizer_kwargs": {"clean": "lower"},
                "width": 64,
                "heads": 4,
                "layers": 2,
                "pool_type": "eos",
                "eos_id": tokenizer.eos_token_id,
            },
        },
        "preprocess_cfg": {"mean": list(MEAN), "std": list(DEVIATION), "resize_mode": "longest"},
    }


def build_quality_model(seed: int) -> open_clip.CLIP:
    """The model with fresh weights; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_clip.CLIP(**quality_config()["model_cfg"])


def save_quality_model(model: nn.Module, folder: Path, measured: Mapping[str, float]) -> None:
    """Write configuration, tokenizer and half-precision weights; what was measured goes into the weights' metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(quality_config(), indent=2) + "\n", encoding="utf-8")
    clip_tokenizer(MAX_TEXT_TOKENS, vocabulary_words()).save_pretrained(folder)
    weights = {
        name: value.to(torch.float16).contiguous() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    save_file(weights, folder / "open_clip_model.safetensors", metadata={"held_out": json.dumps(dict(measured))})


__all__ = ["DEVIATION", "MEAN", "build_quality_model", "quality_config", "quality_path", "save_quality_model"]
