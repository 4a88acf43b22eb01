"""Loading any family from a saved folder, and settings that do not suit it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.load import load_model
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import NUM_STEPS, tiny_model, tiny_pipeline, tiny_section

FULL = [Schedule.full(NUM_STEPS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "tiny-wan"
    tiny_pipeline("wan").save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def section(folder: Path) -> ModelConfig:
    return tiny_section("wan", path=str(folder), flow_shift=5.0)


def test_a_video_model_loads_without_text_encoders_and_with_another_shift(section: ModelConfig) -> None:
    adapter = load_model(section, section.path)
    assert adapter.pipeline.text_encoder is None
    assert adapter.pipeline.scheduler.config.flow_shift == 5.0
    original = tiny_model("wan", flow_shift=5.0)
    original.pipeline.scheduler.register_to_config(flow_shift=5.0)
    embeddings, expected = adapter.encode("a red star"), original.encode("a red star")
    assert all(torch.equal(embeddings[name], expected[name]) for name in expected)
    assert np.array_equal(adapter.run(embeddings, 1, FULL).images, original.run(expected, 1, FULL).images)
    own = load_model(replace(section, flow_shift=0.0), section.path)
    assert own.pipeline.scheduler.config.flow_shift == 3.0
    assert own.identity()["scheduler_hash"] != adapter.identity()["scheduler_hash"]


def test_tiling_and_the_negative_prompt_are_part_of_the_identity(section: ModelConfig) -> None:
    plain = load_model(section, section.path).identity()
    tiled = load_model(replace(section, vae_tiling=True), section.path)
    assert tiled.pipeline.vae.use_tiling
    assert tiled.identity() == {**plain, "vae_tiling": 1}
    led = load_model(replace(section, negative_prompt="a blue star"), section.path).identity()
    assert led == {**plain, "negative_prompt": "a blue star"}


def test_few_steps_are_warned_about(section: ModelConfig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "recache_ray"):
        load_model(replace(section, num_steps=10), section.path)
        assert not caplog.messages
        load_model(replace(section, num_steps=4), section.path)
    assert "model.num_steps = 4: below 10" in caplog.messages[0]


def test_a_shift_that_the_scheduler_does_not_take_is_refused(
    section: ModelConfig, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    pipeline = tiny_pipeline("wan")
    pipeline.scheduler = tiny_pipeline("ltx").scheduler
    pipeline.save_pretrained(other)
    with pytest.raises(BadInputError, match=r"model\.flow_shift = 5: .* takes its shift from the picture's size"):
        load_model(section, str(other))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_offloading_without_a_gpu_is_refused(section: ModelConfig) -> None:
    with pytest.raises(BadInputError, match=r"model\.offload = 'model': needs a GPU"):
        load_model(replace(section, offload="model"), section.path)


def test_folders_of_another_class_say_what_to_do(section: ModelConfig, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"is a WanPipeline, this adapter runs FluxPipeline; set model\.kind=wan"):
        load_model(replace(section, kind="flux"), str(folder))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "KandinskyPipeline"}))
    with pytest.raises(BadInputError, match="is a KandinskyPipeline, which has no adapter; there are Flux") as caught:
        load_model(section, str(tmp_path))
    assert "LTXPipeline" in str(caught.value) and "docs/adapters.md" in str(caught.value)


def test_a_truncated_download_is_named(section: ModelConfig, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    tiny_pipeline("wan").save_pretrained(broken)
    file = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadInputError, match=r"transformer/diffusion_pytorch_model\.safetensors: has \d+ bytes"):
        load_model(section, str(broken))
