"""The calls users make on their own pipelines."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor

from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.production import cached, disable, enable
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.row_counter import RowCounter
from recache_ray.testing.tiny_flux import SIDE
from recache_ray.types import MechanismSpec

PLAN = schedule(0, 1, 4)


@pytest.fixture
def expected(pipe: Any, embeds: dict[str, Tensor]) -> Tensor:
    with ScheduleInterceptor(pipe.transformer, [PLAN], TaylorSeer(1)):
        return latents(pipe, embeds)


def test_cached_computes_the_schedule_and_ends(pipe: Any, embeds: dict[str, Tensor], expected: Tensor) -> None:
    untouched = latents(pipe, embeds)
    with cached(pipe, PLAN), RowCounter(pipe.transformer) as counter:
        assert torch.equal(latents(pipe, embeds), expected)
        assert torch.equal(latents(pipe, embeds), expected)
    assert counter.rows == [2 * PLAN.budget] * 3
    assert torch.equal(latents(pipe, embeds), untouched)


def test_a_full_schedule_is_bit_identical_to_the_untouched_pipeline(pipe: Any, embeds: dict[str, Tensor]) -> None:
    untouched = latents(pipe, embeds)
    with cached(pipe, Schedule.full(NUM_STEPS)):
        assert torch.equal(latents(pipe, embeds), untouched)


def test_different_prompts_in_one_call_stay_apart(pipe: Any) -> None:
    prompts = ["a small green star", "a large white triangle", "a red circle"]
    call = {"height": SIDE, "width": SIDE, "num_inference_steps": NUM_STEPS, "output_type": "latent"}
    call["max_sequence_length"] = 16
    with cached(pipe, PLAN, "newton2"):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(3)]
        together = pipe(prompts, generator=seeds, **call).images
        for seed, prompt in enumerate(prompts):
            alone = pipe(prompt, generator=torch.Generator().manual_seed(seed), **call).images
            assert torch.allclose(together[seed : seed + 1], alone, atol=1e-5, rtol=0)


def test_classifier_free_guidance_needs_no_setting(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor]
) -> None:
    with cached(pipe, PLAN), RowCounter(pipe.transformer) as counter:
        latents(pipe, {**embeds, **negative}, true_cfg_scale=3.0)
    assert counter.rows == [2 * PLAN.budget] * 3


def test_enable_replaces_and_disable_may_be_repeated(pipe: Any, embeds: dict[str, Tensor], expected: Tensor) -> None:
    untouched = latents(pipe, embeds)
    enable(pipe, schedule(0), "reuse")
    enable(pipe, PLAN, MechanismSpec("taylor", 1))
    assert torch.equal(latents(pipe, embeds), expected)
    disable(pipe)
    disable(pipe)
    assert torch.equal(latents(pipe, embeds), untouched)


@pytest.mark.parametrize("steps", [NUM_STEPS - 1, NUM_STEPS + 1, 2 * NUM_STEPS])
def test_another_number_of_steps_is_refused_before_anything_is_computed(
    pipe: Any, embeds: dict[str, Tensor], steps: int
) -> None:
    with (
        RowCounter(pipe.transformer) as counter,
        cached(pipe, PLAN),
        pytest.raises(BadInputError, match=f"runs {steps} steps, the schedule has num_steps = {NUM_STEPS}"),
    ):
        latents(pipe, embeds, num_inference_steps=steps)
    assert counter.rows == [0, 0, 0]


def test_a_generation_abandoned_half_way_does_not_leak_into_the_next(
    pipe: Any, embeds: dict[str, Tensor], expected: Tensor
) -> None:
    def stop(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if index == 2:
            raise KeyboardInterrupt
        return tensors

    with cached(pipe, PLAN):
        with pytest.raises(KeyboardInterrupt):
            latents(pipe, embeds, callback_on_step_end=stop)
        assert torch.equal(latents(pipe, embeds), expected)


def test_offloading_that_rewraps_the_transformer_after_each_generation_keeps_the_schedule(
    pipe: Any, embeds: dict[str, Tensor], expected: Tensor
) -> None:
    add_hook_to_module(pipe.transformer, ModelHook())
    try:
        with cached(pipe, PLAN):
            assert torch.equal(latents(pipe, embeds), expected)
            remove_hook_from_module(pipe.transformer)
            add_hook_to_module(pipe.transformer, ModelHook())
            assert torch.equal(latents(pipe, embeds), expected)
    finally:
        remove_hook_from_module(pipe.transformer)


def test_wrong_arguments_are_refused_and_leave_the_pipeline_alone(pipe: Any, embeds: dict[str, Tensor]) -> None:
    untouched = latents(pipe, embeds)
    with pytest.raises(BadInputError, match="mechanism = 'tailor'"):
        enable(pipe, PLAN, "tailor")
    with pytest.raises(BadInputError, match="object: has no transformer"):
        enable(object(), PLAN)
    assert torch.equal(latents(pipe, embeds), untouched)
