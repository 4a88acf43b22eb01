"""The rollout worker on a tiny real video pipeline with classifier-free guidance in two calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recache_ray.diffusion.adapter import BlankGenerationError, NonFiniteGenerationError
from recache_ray.diffusion.samples import quantise
from recache_ray.errors import BadInputError
from recache_ray.references.encoding import decode_frames
from recache_ray.references.store import ReferenceStore
from recache_ray.rollouts.worker import RolloutWorker
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import NUM_STEPS, tiny_model
from recache_ray.testing.tiny_worker import DifferenceScorer
from recache_ray.types import (
    GenerationRequest,
    MechanismSpec,
    Prompt,
    ReferenceTask,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
)

FRAMES, SIDE = 5, 32
REQUEST = GenerationRequest(Prompt(0, "a small red circle on a black background"), noise_seed=5)
FULL, SPARSE = Schedule.full(NUM_STEPS), Schedule(NUM_STEPS, (0, 1, 3))
TASK = RolloutTask(1, REQUEST, MechanismSpec("hermite", 2), schedules=(SPARSE, FULL), return_images=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def worker(folder: Path) -> RolloutWorker:
    torch.set_num_threads(1)
    adapter = tiny_model("wan")
    made = RolloutWorker(adapter, ReferenceStore.open(folder, adapter.identity()), DifferenceScorer(), 4, "w0")
    made.run(ReferenceTask(0, (REQUEST,)))
    return made


def test_the_store_keeps_every_frame_and_the_full_schedule_gives_them_again(
    worker: RolloutWorker, folder: Path
) -> None:
    group = worker.run(TASK)
    assert isinstance(group, RolloutGroup)
    reference = ReferenceStore.open(folder, tiny_model("wan").identity()).read(REQUEST).image
    assert reference.shape == (FRAMES, SIDE, SIDE, 3)
    cached, full = (decode_frames(rollout.image_png or b"") for rollout in group.rollouts)
    assert np.array_equal(full, reference)
    assert cached.shape == reference.shape and not np.array_equal(cached, reference)
    assert [rollout.breakdown.metrics["lpips"] == 0 for rollout in group.rollouts] == [False, True]
    assert group.forwards_requested == 2 * (SPARSE.budget + NUM_STEPS)


@pytest.mark.parametrize(("change", "names"), [({"frames": 9}, "frames = 5, .* 9"), ({"height": 64}, "height = 32")])
def test_references_of_another_length_or_size_are_refused(
    worker: RolloutWorker, folder: Path, change: dict[str, int], names: str
) -> None:
    with pytest.raises(BadInputError, match=rf"holds references of {names}.*choose another references\.dir"):
        ReferenceStore.open(folder, tiny_model("wan", **change).identity())


def test_a_schedule_of_another_number_of_steps_is_refused(worker: RolloutWorker) -> None:
    other = replace(TASK, schedules=(Schedule(NUM_STEPS + 1, (0, 2)),))
    with pytest.raises(BadInputError, match=rf"num_steps = {NUM_STEPS + 1}: the model runs model\.num_steps"):
        worker.run(other)


def test_a_generation_with_nan_in_one_frame_is_a_failure_with_its_prompt(
    worker: RolloutWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = worker._adapter.pipeline.vae.decode

    def broken(latents: torch.Tensor, return_dict: bool = True) -> tuple[torch.Tensor]:
        (video,) = decode(latents, return_dict=False)
        video[:, :, 2, 0, 0] = float("nan")
        return (video,)

    monkeypatch.setattr(worker._adapter.pipeline.vae, "decode", broken)
    failure = worker.run(replace(TASK, schedules=(SPARSE,)))
    assert isinstance(failure, RolloutFailure) and not failure.retryable
    assert "not finite" in failure.reason and REQUEST.prompt.text in failure.reason


def test_black_videos_are_no_references_and_one_lit_pixel_makes_one() -> None:
    samples = np.zeros((2, FRAMES, 8, 8, 3), np.float32)
    with pytest.raises(BlankGenerationError, match="every frame of it one colour"):
        quantise(samples, [FULL, SPARSE], 0)
    samples[0, 3, 2, 2, 1] = 1.0
    assert quantise(samples, [FULL, SPARSE], 0)[0, 3, 2, 2, 1] == 255
    samples[1, 4] = np.inf
    with pytest.raises(NonFiniteGenerationError, match="generation is not finite"):
        quantise(samples, [FULL, SPARSE], 0)
