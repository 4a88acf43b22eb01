"""The quality model of shapes: its training code on a few steps, and what the one that ships can tell apart."""

from __future__ import annotations

import json
import random
from pathlib import Path

import open_clip
import pytest
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from recache_ray.diffusion.embedded_training.journal import Journal
from recache_ray.diffusion.shapes import model_path
from recache_ray.diffusion.shapes.quality import build_quality_model, quality_path, save_quality_model
from recache_ray.diffusion.shapes.scene import sample_scene
from recache_ray.diffusion.shapes.spoil import near_miss, spoil
from recache_ray.diffusion.shapes.train_quality import (
    Pictures,
    embed_images,
    make_pictures,
    measure_quality,
    train_quality,
)
from recache_ray.metrics.quality.open_clip_scorer import OpenClipScorer

BARS = {"near_miss": 0.6, "of_64": 0.1, "unspoilt": 0.7}


@pytest.fixture(scope="module")
def held_out() -> Pictures:
    return make_pictures(128, 77, AutoencoderKL.from_pretrained(model_path() / "vae").eval(), held_out=True)


@given(st.integers(0, 10_000))
def test_a_near_miss_differs_in_one_place(seed: int) -> None:
    draws = random.Random(seed)
    scene = sample_scene(draws, held_out=False, two_objects=0.5)
    other = near_miss(scene, draws)
    assert other != scene and len(other.objects) == len(scene.objects)
    words = [(i.size, i.colour, i.shape, i.position) for i in scene.objects]
    changed = [(i.size, i.colour, i.shape, i.position) for i in other.objects]
    pairs = [(a, b) for one, two in zip(words, changed, strict=True) for a, b in zip(one, two, strict=True)]
    differing = [(a, b) for a, b in pairs if a != b]
    ground = (scene.background.pattern != other.background.pattern) + (
        scene.background.colour != other.background.colour
    )
    exchanged = len(differing) == 2 and differing[0] == differing[1][::-1]
    assert len(differing) + ground == 1 or (exchanged and not ground)


def test_every_picture_is_spoilt_and_stays_in_range(held_out: Pictures) -> None:
    _, pixels = held_out.batch(torch.arange(64))
    before = pixels.clone()
    spoilt = spoil(pixels, torch.Generator().manual_seed(0))
    assert torch.equal(pixels, before)
    assert float(spoilt.min()) >= 0 and float(spoilt.max()) <= 1
    assert all(float((a - b).abs().mean()) > 1e-3 for a, b in zip(spoilt, pixels, strict=True))
    assert torch.equal(spoilt, spoil(pixels, torch.Generator().manual_seed(0)))


def test_training_lowers_the_losses_and_the_folder_is_one_that_open_clip_loads(
    held_out: Pictures, tmp_path: Path
) -> None:
    model = train_quality(held_out, 0.05, 0, Journal(tmp_path / "log.jsonl"), log_every=1)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    # a few steps of warming up: the largest of the losses is what moves first
    assert lines[-1]["contrast"] < lines[0]["contrast"]
    save_quality_model(model, tmp_path / "model", {"near_miss": 0.5})
    again, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'model'}")
    _, pixels = held_out.batch(torch.arange(8))
    with torch.no_grad():
        assert torch.allclose(embed_images(again.eval(), pixels), embed_images(model, pixels), atol=2e-2)


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, two, other = (build_quality_model(seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_shipped_model_tells_right_captions_from_wrong_ones_on_held_out_renders(held_out: Pictures) -> None:
    """Chance is 0.5, 1 / 64 and 0.5; the figures of 256 other held-out pictures are stored with the weights."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{quality_path()}")
    measured = measure_quality(model.eval(), held_out, seed=78)
    with safe_open(quality_path() / "open_clip_model.safetensors", "pt") as file:
        stated = json.loads(file.metadata()["held_out"])
    for name, bar in BARS.items():
        assert measured[name] > bar, measured
        assert abs(measured[name] - stated[name]) < 0.12, (name, measured, stated)


def test_the_shipped_weights_are_small_and_score_through_the_class_of_hpsv2(held_out: Pictures) -> None:
    assert (quality_path() / "open_clip_model.safetensors").stat().st_size < 3e6
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{quality_path()}")
    frames = held_out.pixels[:4].permute(0, 2, 3, 1).numpy()
    text = "a large red circle on the left of a striped blue background"
    with torch.no_grad():
        image = embed_images(model.eval(), held_out.pixels[:4].float() / 255)
        words = model.encode_text(open_clip.get_tokenizer(f"local-dir:{quality_path()}")([text]), normalize=True)
    assert OpenClipScorer.from_folder(str(quality_path()))(frames, text) == pytest.approx(
        (image @ words.T).flatten().tolist(), abs=1e-5
    )
