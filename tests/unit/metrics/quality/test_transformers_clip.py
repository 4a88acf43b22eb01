"""CLIPScore and PickScore: the cosine of transformers' own forward, on a tiny model with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_clip
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from recache_ray.diffusion.shapes import model_path
from recache_ray.errors import BadInputError
from recache_ray.metrics.quality.transformers_clip import TransformersClipScorer

PROMPT = "a small red star in the centre of a blue background"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    tokenizer = CLIPTokenizer.from_pretrained(model_path() / "tokenizer")
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 24,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    torch.manual_seed(0)
    parts = {"text_config": CLIPTextConfig(**text).to_dict(), "vision_config": CLIPVisionConfig(**vision).to_dict()}
    config = CLIPConfig(**parts, projection_dim=16)
    model = CLIPModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(0.05 * torch.randn(parameter.shape))
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(path)
    return path


def test_the_score_is_the_models_own_cosine(folder: Path) -> None:
    frames = tiny_clip.frames(3, 40, 60)
    model = CLIPModel.from_pretrained(folder).eval()
    pixels = CLIPImageProcessor.from_pretrained(folder)(images=list(frames), return_tensors="pt").pixel_values
    tokens = CLIPTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt")
    with torch.no_grad():
        out = model(pixel_values=pixels, **tokens)
    expected = (out.logits_per_image / model.logit_scale.exp()).flatten().tolist()
    for kind in ("clipscore", "pickscore"):
        assert TransformersClipScorer(kind, str(folder))(frames, PROMPT) == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 4) for score in expected}) == 3


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"reward\.quality_path = .*no CLIP model of pickscore") as caught:
        TransformersClipScorer("pickscore", str(tmp_path))
    assert "\n" not in str(caught.value)


def test_truncated_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(BadInputError, match="no CLIP model of clipscore could be loaded"):
        TransformersClipScorer("clipscore", str(tmp_path))
