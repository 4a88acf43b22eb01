"""The measured cost of a step, against counting by hand."""

from __future__ import annotations

import pytest

from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.cost import StepCost, measure_step_cost
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import tiny_adapter


def test_ratio_of_flops_counts_cached_steps_too() -> None:
    cost = StepCost(computed_flops=100.0, cached_flops=1.0, computed_s=0.5, cached_s=0.01)
    tenth = Schedule.from_steps(50, range(0, 50, 5))
    assert cost.flops_ratio(Schedule.full(50)) == 1.0
    assert cost.flops_ratio(tenth) == pytest.approx(5000 / (1000 + 40))
    assert cost.seconds(tenth) == pytest.approx(10 * 0.5 + 40 * 0.01)
    assert cost.cached_share == pytest.approx(0.02)


def test_a_cached_step_is_the_embedders_and_the_final_layer() -> None:
    adapter = tiny_adapter(num_steps=6)
    cost = measure_step_cost(adapter, adapter.encode("a red circle"), TaylorSeer(2))
    model = adapter.pipeline.transformer
    tokens, width, channels = 16, 32, 16
    time_text = 256 * width + width * width + 16 * width + width * width
    by_hand = 2 * (tokens * channels * width + time_text + 2 * width * width + tokens * width * channels)
    assert cost.cached_flops == by_hand
    assert cost.computed_flops > 20 * cost.cached_flops
    assert 0 < cost.cached_s < cost.computed_s
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_one_step_leaves_nothing_to_cache() -> None:
    adapter = tiny_adapter(num_steps=1)
    with pytest.raises(BadInputError, match=r"model\.num_steps = 1"):
        measure_step_cost(adapter, adapter.encode("a red circle"), TaylorSeer(1))
