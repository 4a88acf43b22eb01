"""The single call behind references, baselines and rollouts."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.reuse import Reuse
from recache_ray.diffusion.adapter import Generation, NonFiniteGenerationError
from recache_ray.diffusion.generate import generate
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.row_counter import RowCounter
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt

T = 6
REQUEST = GenerationRequest(Prompt(0, "a large red circle"), noise_seed=5)
TAYLOR = MechanismSpec("taylor", 1)


@pytest.fixture(scope="module")
def adapter() -> PipelineAdapter:
    return tiny_adapter(num_steps=T)


@pytest.fixture(scope="module")
def embeddings(adapter: PipelineAdapter) -> dict[str, Tensor]:
    return adapter.encode(REQUEST.prompt.text)


def some_schedules(count: int) -> list[Schedule]:
    draw = random.Random(7)
    chosen = [Schedule.from_steps(T, {0, *draw.sample(range(1, T), draw.randint(0, 3))}) for _ in range(count)]
    draw.shuffle(chosen)
    return chosen


def test_order_is_the_callers_whatever_the_batches(adapter: PipelineAdapter, embeddings: dict[str, Tensor]) -> None:
    schedules = some_schedules(9)
    whole = generate(adapter, embeddings, REQUEST, schedules, TAYLOR, max_batch=32)
    parts = generate(adapter, embeddings, REQUEST, schedules, TAYLOR, max_batch=2)
    for row, schedule in enumerate(schedules):
        alone = generate(adapter, embeddings, REQUEST, [schedule], TAYLOR).images[0]
        for images in (whole.images, parts.images):
            assert np.abs(images[row].astype(int) - alone).max() <= 1
    assert whole.images.shape == (9, 1, 16, 16, 3)
    assert whole.forwards_requested == parts.forwards_requested == sum(schedule.budget for schedule in schedules)


def test_executed_forwards_are_the_distinct_prefixes(adapter: PipelineAdapter, embeddings: dict[str, Tensor]) -> None:
    schedules = some_schedules(12)
    with RowCounter(adapter.transformer) as counter:
        result = generate(adapter, embeddings, REQUEST, schedules, TAYLOR)
    prefixes = {schedule.prefix(step) for schedule in schedules for step in schedule.compute_steps}
    assert result.forwards_executed == len(prefixes)
    assert counter.rows == [len(prefixes)] * 3


def test_equal_schedules_run_once(adapter: PipelineAdapter, embeddings: dict[str, Tensor]) -> None:
    twice = [Schedule(T, (0, 2)), Schedule(T, (0, 2))]
    with RowCounter(adapter.transformer) as counter:
        result = generate(adapter, embeddings, REQUEST, twice, TAYLOR)
    assert counter.rows == [2, 2, 2]
    assert np.array_equal(result.images[0], result.images[1])
    assert (result.forwards_requested, result.forwards_executed) == (4, 2)


@pytest.mark.parametrize("mechanism", [None, TAYLOR, Reuse()])
def test_a_reference_is_what_the_untouched_pipeline_draws(
    adapter: PipelineAdapter, embeddings: dict[str, Tensor], mechanism: MechanismSpec | Reuse | None
) -> None:
    reference = generate(adapter, embeddings, REQUEST, [Schedule.full(T)], mechanism)
    pictures = adapter.pipeline(
        **{name: tensor[None] for name, tensor in embeddings.items()},
        height=16,
        width=16,
        num_inference_steps=T,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(REQUEST.noise_seed),
    ).images
    assert np.array_equal(reference.images[0, 0], np.asarray(pictures[0]))
    assert reference.forwards_requested == reference.forwards_executed == T


def test_the_same_call_twice_gives_the_same_bits(adapter: PipelineAdapter, embeddings: dict[str, Tensor]) -> None:
    def call() -> Generation:
        return generate(adapter, embeddings, REQUEST, some_schedules(6), TAYLOR, max_batch=4)

    assert np.array_equal(call().images, call().images)


class NanForecast(Reuse):
    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        forecast = super().predict(history, step)
        return forecast * float("nan") if step == T - 1 else forecast


def test_nan_names_prompt_seed_and_the_schedules_concerned(
    adapter: PipelineAdapter, embeddings: dict[str, Tensor]
) -> None:
    bad, good = Schedule(T, (0, 1)), Schedule(T, (0, 1, 5))
    with pytest.raises(NonFiniteGenerationError) as caught:
        generate(adapter, embeddings, REQUEST, [good, bad], NanForecast())
    assert caught.value.schedules == (bad,)
    for part in ("'a large red circle'", "noise seed 5", "110000"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert generate(adapter, embeddings, REQUEST, [good], NanForecast()).images.any()


def test_what_cannot_run_is_refused(adapter: PipelineAdapter, embeddings: dict[str, Tensor]) -> None:
    with pytest.raises(BadInputError, match="no schedules"):
        generate(adapter, embeddings, REQUEST, [], TAYLOR)
    with pytest.raises(BadInputError, match="max_batch = 0"):
        generate(adapter, embeddings, REQUEST, [Schedule.full(T)], TAYLOR, max_batch=0)
    with pytest.raises(BadInputError, match=r"num_steps = 9: the model runs model\.num_steps = 6"):
        generate(adapter, embeddings, REQUEST, [Schedule(9, (0, 1))], TAYLOR)
    with pytest.raises(BadInputError, match="needs a caching mechanism"):
        generate(adapter, embeddings, REQUEST, [Schedule(T, (0, 1))], None)
    with pytest.raises(BadInputError, match="mechanism = 'tailor'"):
        generate(adapter, embeddings, REQUEST, [Schedule(T, (0, 1))], MechanismSpec("tailor"))
