"""The model that ships: loads, is small, follows captions, and the read-out judges rightly."""

import json
import random

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline
from safetensors import safe_open

from recache_ray.diffusion.shapes import model_path
from recache_ray.diffusion.shapes.check import generate, main
from recache_ray.diffusion.shapes.readout import READOUT_PATH, Reading, accuracies, compare, load_readout, read
from recache_ray.diffusion.shapes.render import render
from recache_ray.diffusion.shapes.scene import parse_caption, sample_scene


@pytest.fixture(scope="module")
def pipeline() -> FluxPipeline:
    loaded = FluxPipeline.from_pretrained(model_path())
    loaded.set_progress_bar_config(disable=True)
    return loaded


def test_the_directory_is_small_and_safe() -> None:
    files = [path for path in model_path().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * 2**20
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    assert READOUT_PATH.stat().st_size < 2**20


def test_the_readout_is_right_about_held_out_renderings() -> None:
    draws, numbers = random.Random(7), np.random.default_rng(7)
    scenes = [sample_scene(draws, held_out=True, two_objects=0.4) for _ in range(100)]
    pictures = np.stack([render(scene, numbers) for scene in scenes])
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).mul(2).sub(1)
    assert accuracies(scenes, read(load_readout(), pixels))["joint_with_size"] >= 0.97
    with safe_open(READOUT_PATH, "pt") as file:
        stated = json.loads(file.metadata()["held_out_accuracy"])
    assert stated["round_trip"]["joint"] >= 0.97


def test_compare_notices_exchanged_colours() -> None:
    wanted = parse_caption("a small red circle on the left and a small blue circle on the right of a white background")
    swapped = parse_caption("a small blue circle on the left and a small red circle on the right of a white background")
    result = compare(wanted, Reading(swapped.objects, swapped.background))
    assert result["colour"]
    assert result["shape"]
    assert not result["joint"]


def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(pipeline: FluxPipeline) -> None:
    texts = [
        "a large red circle on the left of a striped blue background",
        "a small black star at the top of a white background",
    ]
    both = generate(pipeline, texts, 2, seed=0)
    alone = generate(pipeline, texts[1:], 2, seed=0, first=1)
    assert torch.allclose(both[1], alone[0], atol=1e-3)


def test_check_fails_below_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "2", "--steps", "1"]) == 1
    assert "fail" in capsys.readouterr().out
