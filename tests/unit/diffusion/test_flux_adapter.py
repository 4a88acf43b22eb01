"""The FLUX adapter over a saved folder: loading, text encoders, identity, and paths that lead nowhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.families import family_of
from recache_ray.diffusion.load import load_model
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import SIDE, TEXT_TOKENS, tiny_adapter, tiny_flux_pipeline

CAPTION = "a large red circle on the left of a black background"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "tiny"
    tiny_flux_pipeline(seed=0).save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def section(folder: Path) -> ModelConfig:
    return ModelConfig(
        kind="flux", path=str(folder), num_steps=4, height=SIDE, width=SIDE, max_text_tokens=TEXT_TOKENS, device="cpu"
    )


@pytest.fixture(scope="module")
def loaded(section: ModelConfig) -> PipelineAdapter:
    return load_model(section, section.path)


def test_a_saved_folder_generates_what_was_saved(loaded: PipelineAdapter) -> None:
    original = tiny_adapter(num_steps=4)
    embeddings, expected = loaded.encode(CAPTION), original.encode(CAPTION)
    assert all(torch.equal(embeddings[name], expected[name]) for name in expected)
    assert {name: tuple(tensor.shape) for name, tensor in embeddings.items()} == {
        "prompt_embeds": (TEXT_TOKENS, 24),
        "pooled_prompt_embeds": (16,),
    }
    full = [Schedule.full(4)]
    assert np.array_equal(loaded.run(embeddings, 9, full).images, original.run(expected, 9, full).images)


def test_embeddings_stand_for_the_prompt(loaded: PipelineAdapter) -> None:
    pipeline = tiny_flux_pipeline(seed=0)
    picture = pipeline(
        CAPTION,
        height=SIDE,
        width=SIDE,
        num_inference_steps=4,
        guidance_scale=1.0,
        max_sequence_length=TEXT_TOKENS,
        generator=torch.Generator().manual_seed(9),
    ).images[0]
    images = loaded.run(loaded.encode(CAPTION), 9, [Schedule.full(4)]).images
    assert np.array_equal(images[0, 0], np.asarray(picture))


def test_text_encoders_are_loaded_on_demand_and_released(section: ModelConfig) -> None:
    adapter = load_model(section, section.path)
    assert adapter.pipeline.text_encoder is None and adapter._text_pipeline is None
    first = adapter.encode(CAPTION)
    adapter.release_text_encoders()
    assert adapter._text_pipeline is None
    again = adapter.encode(CAPTION)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert load_model(section, section.path, with_text_encoders=True)._text_pipeline is not None


def test_an_adapter_without_text_encoders_says_so() -> None:
    adapter = PipelineAdapter(
        family_of("flux"),
        tiny_flux_pipeline(),
        ModelConfig(height=SIDE, width=SIDE),
        model_id="tiny",
        fingerprint="none",
    )
    with pytest.raises(BadInputError, match="has no text encoders"):
        adapter.encode(CAPTION)


def test_spec_records_the_model_and_protocol(loaded: PipelineAdapter) -> None:
    spec = loaded.spec
    assert (spec.id, spec.pipeline_class, spec.scheduler) == ("tiny", "FluxPipeline", "FlowMatchEulerDiscreteScheduler")
    assert (spec.num_steps, spec.height, spec.width, spec.frames, spec.forwards_per_step) == (4, SIDE, SIDE, 1, 1)
    assert (spec.dtype, spec.device, spec.guidance) == ("float32", "cpu", 1.0)


def test_identity_is_plain_and_changes_with_whatever_determines_a_generation(
    folder: Path, section: ModelConfig, loaded: PipelineAdapter, tmp_path: Path
) -> None:
    identity = loaded.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert str(folder) not in json.dumps(identity)
    assert load_model(section, section.path).identity() == identity

    moved = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(folder, moved)
    (moved / "README.md").write_text("a note changes nothing")
    assert load_model(section, str(moved)).identity() == identity

    other_steps = load_model(replace(section, num_steps=5), section.path).identity()
    assert {name for name in identity if identity[name] != other_steps[name]} == {"num_steps"}

    scheduler = moved / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace('"shift": 1.0', '"shift": 2.0'))
    changed = load_model(section, str(moved)).identity()
    assert {name for name in identity if identity[name] != changed[name]} == {"weights", "scheduler_hash"}


@pytest.mark.parametrize("path", ["/no/such/folder", "./nothing", "one-word"])
def test_a_missing_folder_is_one_clear_line(section: ModelConfig, path: str) -> None:
    with pytest.raises(BadInputError, match=r"model\.path = .*no such folder") as caught:
        load_model(section, path)
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_one_clear_line(section: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInputError, match="the hub did not give it") as caught:
        load_model(section, "nobody/no-such-model")
    assert "\n" not in str(caught.value)


def test_other_folders_are_refused(section: ModelConfig, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no readable model_index\.json"):
        load_model(section, str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    with pytest.raises(BadInputError, match="is a WanPipeline, this adapter runs FluxPipeline"):
        load_model(section, str(tmp_path))


def test_sizes_the_autoencoder_cannot_make_are_refused(section: ModelConfig) -> None:
    with pytest.raises(BadInputError, match=r"model\.width = 18: must be a multiple of 4 pixels"):
        load_model(replace(section, width=18), section.path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_gpu_that_is_not_there_is_refused(section: ModelConfig) -> None:
    with pytest.raises(BadInputError, match=r"model\.device = 'cuda': this process sees no GPU"):
        load_model(replace(section, device="cuda"), section.path)
