"""cache-dit as the mechanism: the computed steps are those of the schedule, and nothing of it stays."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor

from recache_ray.caching.cache_dit import CacheDit, CacheDitRun
from recache_ray.caching.delta import DeltaDiT
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.registry import (
    build_executor,
    build_gated_mechanism,
    build_mechanism,
    library,
    parse_mechanism,
)
from recache_ray.caching.reuse import Reuse
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.diffusion.generate import generate
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.row_counter import RowCounter
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt

installed = pytest.mark.skipif(find_spec("cache_dit") is None, reason="the extra cache-dit is not installed")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recache_ray.caching.cache_dit.find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"cache-dit is not installed; pip install 'recache_ray\[cache-dit\]'"):
        build_executor(MechanismSpec("cache_dit", 1))


def test_it_runs_neither_under_this_projects_hooks_nor_under_a_gate() -> None:
    spec = parse_mechanism("cache_dit2")
    assert spec == MechanismSpec("cache_dit", 2) and spec.id == "cache_dit2" == CacheDit(2).id
    with pytest.raises(BadInputError, match="cache-dit runs schedules by itself"):
        build_mechanism(spec)
    with pytest.raises(BadInputError, match="gates need one that predicts the whole stack's residual"):
        build_gated_mechanism(spec)
    with pytest.raises(BadInputError, match=r"cache_dit caches a stack of blocks; set mechanism\.cut=stack"):
        build_executor(MechanismSpec("cache_dit", 1, "modules"))
    assert library(MechanismSpec("taylor", 1)) == "recache_ray"


@installed
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("steps", [(0,), (0, 1, 4), (0, 2, 6), tuple(range(NUM_STEPS))])
def test_blocks_run_at_computed_steps_and_the_first_at_all(
    pipe: Any, embeds: dict[str, Tensor], order: int, steps: tuple[int, ...]
) -> None:
    untouched = latents(pipe, embeds)
    attributes = {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    with RowCounter(pipe.transformer) as counter, CacheDitRun(pipe.transformer, schedule(*steps), CacheDit(order), 1):
        got = latents(pipe, embeds)
    assert counter.rows == [NUM_STEPS, len(steps), len(steps)]
    assert torch.equal(got, untouched) == (len(steps) == NUM_STEPS)
    assert attributes == {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    assert torch.equal(latents(pipe, embeds), untouched)


@installed
def test_order_zero_repeats_what_the_blocks_behind_the_first_changed(pipe: Any, embeds: dict[str, Tensor]) -> None:
    plan = schedule(0, 2, 3)
    with ScheduleInterceptor(pipe.transformer, [plan], DeltaDiT()):  # one of three blocks runs here as well
        expected = latents(pipe, embeds)
    with CacheDitRun(pipe.transformer, plan, CacheDit(0), 1):
        got = latents(pipe, embeds)
    assert torch.allclose(got, expected, atol=1e-5, rtol=0)


@installed
def test_guidance_in_two_calls_computes_the_same_steps_for_both(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor]
) -> None:
    plan = schedule(0, 2, 3)
    with RowCounter(pipe.transformer) as counter, CacheDitRun(pipe.transformer, plan, CacheDit(1), 2):
        latents(pipe, {**embeds, **negative}, true_cfg_scale=3.0)
    assert counter.rows == [2 * NUM_STEPS, 2 * 3, 2 * 3]


@installed
def test_generations_in_a_batch_are_those_alone_and_leave_the_model_to_other_mechanisms() -> None:
    adapter = tiny_adapter(num_steps=6)
    embeds, request = adapter.encode("a red circle"), GenerationRequest(Prompt(0, "a red circle"), noise_seed=5)
    plans = [Schedule(6, (0, 3)), Schedule.full(6), Schedule(6, (0, 1, 4))]
    reuse = generate(adapter, embeds, request, plans, MechanismSpec("reuse")).images
    spec = MechanismSpec("cache_dit", 1)
    together = generate(adapter, embeds, request, plans, spec)
    assert together.forwards_requested == together.forwards_executed == 2 + 6 + 3
    for plan, images in zip(plans, together.images, strict=True):
        assert np.array_equal(generate(adapter, embeds, request, [plan], spec).images[0], images)
    assert np.array_equal(together.images[1], generate(adapter, embeds, request, [plans[1]], None).images[0])
    assert np.array_equal(generate(adapter, embeds, request, plans, MechanismSpec("reuse")).images, reuse)
    with pytest.raises(BadInputError, match=r"schedule of num_steps = 7: the model runs model\.num_steps = 6"):
        generate(adapter, embeds, request, [Schedule(7, (0, 3))], spec)


@installed
def test_a_cached_step_is_charged_its_block() -> None:
    adapter = tiny_adapter(num_steps=6)
    embeds = adapter.encode("a red circle")
    theirs, delta, reuse = (measure_step_cost(adapter, embeds, each) for each in (CacheDit(0), DeltaDiT(), Reuse()))
    assert theirs.computed_flops == delta.computed_flops
    assert reuse.cached_flops < theirs.cached_flops == delta.cached_flops
    assert library(MechanismSpec("cache_dit", 0)).startswith("cache-dit ")
