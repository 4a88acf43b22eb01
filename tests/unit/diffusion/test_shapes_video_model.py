"""The video model that ships: small, loads as a user and as a run loads it, and its prompts are there."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from recache_ray.build.adapter import make_adapter
from recache_ray.build.architecture import known_architecture
from recache_ray.build.requests import prompt_set
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.model import ModelConfig
from recache_ray.config.prompts import PromptsConfig
from recache_ray.config.root import load_config
from recache_ray.diffusion.architecture import LatentGrid, Size
from recache_ray.diffusion.embedded import embedded_model, family_kind
from recache_ray.diffusion.forward_cost import transformer_shape
from recache_ray.diffusion.shapes_video import (
    GUIDANCE_SCALE,
    MAX_SEQUENCE_LENGTH,
    NUM_FRAMES,
    RESOLUTION_PX,
    model_path,
)
from recache_ray.diffusion.shapes_video.check import generate, load
from recache_ray.diffusion.shapes_video.scene import is_held_out, parse_caption
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.types import MechanismSpec

CAPTION = "a large red circle moving left on a black background"
MODEL = {
    "kind": "shapes-video",
    "num_steps": 3,
    "height": RESOLUTION_PX,
    "width": RESOLUTION_PX,
    "frames": NUM_FRAMES,
    "guidance_scale": GUIDANCE_SCALE,
    "max_text_tokens": MAX_SEQUENCE_LENGTH,
}


def test_the_directory_is_small_and_safe() -> None:
    files = [path for path in model_path().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * 2**20
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    assert json.loads((model_path() / "model_index.json").read_text())["_class_name"] == "WanPipeline"


def test_a_run_makes_what_the_pipeline_makes() -> None:
    torch.set_num_threads(1)
    adapter = make_adapter(load_config({"model": MODEL, "learning": {"budgets": "2"}}))
    assert (adapter.spec.id, adapter.spec.forwards_per_step) == ("shapes-video", 2)
    embeddings = adapter.encode(CAPTION)
    made = adapter.run(embeddings, 100_003 * 4, [Schedule.full(3)]).images[0]
    (untouched,) = generate(load(model_path()), [CAPTION], 3, seed=4, guidance=GUIDANCE_SCALE)
    assert np.array_equal(made, (untouched * 255).round().astype(np.uint8))
    cached = adapter.run(embeddings, 0, [Schedule(3, (0, 1))] * 2, build_mechanism(MechanismSpec("hermite", 2)))
    assert cached.images.shape == (2, NUM_FRAMES, RESOLUTION_PX, RESOLUTION_PX, 3)
    assert cached.forwards_executed == 4  # one prefix, two guidance branches


def test_its_cost_is_known_before_it_is_loaded() -> None:
    found = known_architecture(ModelConfig(**MODEL))
    assert found is not None and found.forwards_per_step == 2
    assert found.latents(Size(RESOLUTION_PX, RESOLUTION_PX, NUM_FRAMES)) == LatentGrid(3, 8, 8)
    assert transformer_shape(found, Size(RESOLUTION_PX, RESOLUTION_PX, NUM_FRAMES)).image_tokens == 48


def test_its_prompts_are_captions_it_was_trained_on() -> None:
    prompts = prompt_set(load_config({"model": MODEL, "learning": {"budgets": "2"}}))
    texts = [prompt.text for part in (prompts.train, prompts.validation, prompts.test) for prompt in part]
    sizes = PromptsConfig()
    assert len(set(texts)) == len(texts) == sizes.num_train + sizes.num_validation + sizes.num_test
    assert not any(is_held_out(parse_caption(text)) for text in texts)


def test_a_path_makes_it_an_ordinary_model_of_its_family() -> None:
    assert embedded_model("shapes-video", "somewhere") is None and embedded_model("wan") is None
    assert (family_kind("shapes-video"), family_kind("shapes"), family_kind("ltx")) == ("wan", "flux", "ltx")


@pytest.mark.parametrize("frames", [8, 7])
def test_other_numbers_of_frames_say_which_multiple(frames: int) -> None:
    with pytest.raises(BadInputError, match=rf"model\.frames = {frames}: must be 1 more than a multiple of 4"):
        make_adapter(load_config({"model": {**MODEL, "frames": frames}, "learning": {"budgets": "2"}}))
