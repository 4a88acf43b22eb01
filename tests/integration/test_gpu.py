"""What only a GPU can show: a training on a shared one, offloading, and that its pictures and rewards are the CPU's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from recache_ray.build.memory_check import check_memory
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.cli.main import main
from recache_ray.config.model import ModelConfig
from recache_ray.config.reward import RewardConfig
from recache_ray.config.root import load_config
from recache_ray.diffusion.load import load_model
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.diffusion.production import cached
from recache_ray.diffusion.shapes import model_path
from recache_ray.errors import BadInputError
from recache_ray.rewards.scorer import Scorer
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import tiny_model, tiny_section
from recache_ray.testing.tiny_flux import tiny_flux_pipeline

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a machine with a GPU"),
]

T = 20
PROMPT = "a large red circle on the left"
FULL = Schedule.full(T)
SIBLINGS = [Schedule.from_steps(T, range(0, T, 4)), Schedule.from_steps(T, range(0, T, 2)), FULL]
TAYLOR = TaylorSeer(1)


def shapes(device: str) -> PipelineAdapter:
    return load_model(ModelConfig(device=device, num_steps=T), str(model_path()))


@pytest.fixture(scope="module")
def embeddings() -> Mapping[str, Tensor]:
    return shapes("cpu").encode(PROMPT)


def test_pictures_and_rewards_are_those_of_the_cpu(embeddings: Mapping[str, Tensor]) -> None:
    """Float rounding moves a pixel by a level or two; a wrong step moves rewards by more than a hundredth."""
    scores = {}
    for device in ("cpu", "cuda"):
        adapter = shapes(device)
        assert adapter.spec.device == device
        reference = adapter.run(embeddings, 1, [FULL]).images[0]
        images = adapter.run(embeddings, 1, SIBLINGS, TAYLOR).images
        assert np.abs(images[-1].astype(int) - reference).max() <= 2  # computed among siblings
        scores[device] = [each.metrics["lpips"] for each in Scorer(RewardConfig(), device).score(images, reference, "")]
    assert scores["cuda"] == pytest.approx(scores["cpu"], rel=0.05, abs=1e-3)
    assert scores["cpu"][0] > scores["cpu"][1] > 1e-3


def test_a_repeated_generation_is_bit_identical(embeddings: Mapping[str, Tensor]) -> None:
    adapter = shapes("cuda")
    runs = [adapter.run(embeddings, 1, SIBLINGS, TAYLOR).images for _ in range(2)]
    assert np.array_equal(*runs)


def test_two_actors_train_on_one_gpu(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [
        "experiment=smoke",
        f"run.dir={run}",
        f"references.dir={tmp_path / 'references'}",
        "runtime.num_workers=2",
        "runtime.gpus_per_worker=0.5",
        "runtime.cpus_per_worker=0",
        "tracking=jsonl",
    ]
    assert main(["train", *arguments]) == 0
    document = json.loads((run / "schedules.json").read_text())
    assert document["model"]["device"] == "cuda"
    assert main(["evaluate", *arguments]) == 0


@pytest.mark.parametrize("kind", ["flux", "wan", "hunyuan_video", "sd3"])
def test_parts_moved_to_the_gpu_for_their_turn_make_the_same_picture(kind: str, tmp_path: Path) -> None:
    tiny = tiny_model(kind, device="cuda")
    prompt = tiny.encode(PROMPT)
    tiny.pipeline.to("cpu").save_pretrained(tmp_path / kind)
    section = tiny_section(kind, path=str(tmp_path / kind), device="cuda")
    resident, moved = (load_model(replace(section, offload=offload), section.path) for offload in ("none", "model"))
    schedules = [Schedule(section.num_steps, (0, 2, 3)), Schedule.full(section.num_steps)]
    expected = resident.run(prompt, 1, schedules, TAYLOR).images
    for _ in range(2):
        assert np.array_equal(moved.run(prompt, 1, schedules, TAYLOR).images, expected)
    assert {each.device.type for each in moved.transformer.parameters()} == {"cpu"}


@pytest.mark.usefixtures("fresh_compiler")
def test_a_compiled_transformer_makes_the_same_latents() -> None:
    pipe = tiny_flux_pipeline(seed=0).to("cuda")
    pipe.set_progress_bar_config(disable=True)

    def latents() -> Tensor:
        made: Tensor = pipe(
            PROMPT, height=16, width=16, num_inference_steps=6, max_sequence_length=16, output_type="latent",
            generator=torch.Generator().manual_seed(1),
        ).images  # fmt: skip
        return made

    plan = Schedule(6, (0, 2, 3))
    with cached(pipe, plan):
        eager = latents()
    pipe.transformer = torch.compile(pipe.transformer)
    with cached(pipe, plan):
        for _ in range(2):
            assert (latents() - eager).abs().max() / eager.std() < 1e-4


def test_a_batch_that_the_gpu_cannot_hold_is_refused_by_name() -> None:
    config = load_config({"runtime": {"max_batch": 1024}, "model": {"height": 16384, "width": 16384}})
    with pytest.raises(BadInputError, match=r"memory: .*GPU NVIDIA.*set runtime\.max_batch="):
        check_memory(config)
