"""The measured cost of asking a gate, against counting by hand."""

from __future__ import annotations

import pytest

from recache_ray.caching.reuse import Reuse
from recache_ray.diffusion.adapter import ModelAdapter
from recache_ray.diffusion.cost import StepCost, measure_step_cost
from recache_ray.diffusion.gate_cost import GateCost, measure_gate_cost
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import TEXT_TOKENS, tiny_adapter
from recache_ray.types import GateSpec

NUM_STEPS = 6
WIDTH, IMAGE_TOKENS, TEXT_WIDTH = 32, 16, 24
NORM = 2 * WIDTH * 6 * WIDTH  # the modulation of one stream: one row times a matrix to six vectors
EMBED_TEXT = 2 * TEXT_TOKENS * TEXT_WIDTH * WIDTH
TOKENS = IMAGE_TOKENS + TEXT_TOKENS
# double-stream block: q, k, v, output and an MLP of four times the width for each token, attention over all of them
BLOCK = 2 * NORM + 2 * TOKENS * (4 + 8) * WIDTH**2 + 4 * TOKENS**2 * WIDTH


@pytest.fixture(scope="module")
def adapter() -> ModelAdapter:
    return tiny_adapter(NUM_STEPS)


@pytest.fixture(scope="module")
def step(adapter: ModelAdapter) -> StepCost:
    return measure_step_cost(adapter, adapter.encode("a red circle"), Reuse())


@pytest.mark.parametrize(
    ("gate", "at_computed", "at_cached"),
    [
        # a computed step goes on from its probe; a cached one ran the text embedder and one block for it
        (GateSpec("dicache", 0.1), 0, EMBED_TEXT + BLOCK),
        (GateSpec("fbcache", 0.1), 0, EMBED_TEXT + BLOCK),
        # the modulated input is made a second time at a computed step
        (GateSpec("teacache", 0.1, table=(1.0, 0.0)), NORM, EMBED_TEXT + NORM),
        (GateSpec("easycache", 0.1), 0, EMBED_TEXT),
        (GateSpec("magcache", 0.1, table=(1.0,) * NUM_STEPS), 0, EMBED_TEXT),
    ],
    ids=lambda value: value.kind if isinstance(value, GateSpec) else "",
)
def test_cost_by_hand(adapter: ModelAdapter, step: StepCost, gate: GateSpec, at_computed: int, at_cached: int) -> None:
    cost = measure_gate_cost(adapter, adapter.encode("a red circle"), gate, Reuse())
    assert cost.computed_share * step.computed_flops == pytest.approx(at_computed, abs=1e-6)
    assert cost.cached_share * step.computed_flops == pytest.approx(at_cached, abs=1e-6)


def test_a_probe_is_the_first_blocks_share_of_the_stack(adapter: ModelAdapter, step: StepCost) -> None:
    # a single-stream block has one modulation of three vectors, q, k, v and the MLP in, both out
    single = NORM // 2 + 2 * TOKENS * (3 + 4 + 5) * WIDTH**2 + 4 * TOKENS**2 * WIDTH
    stack = step.computed_flops - step.cached_flops - EMBED_TEXT
    assert stack == BLOCK + 2 * single


def test_partial_forwards_add_up_over_a_schedule() -> None:
    cost = GateCost(computed_share=0.01, cached_share=0.1)
    assert cost.partial_forwards(Schedule.from_steps(50, range(10))) == pytest.approx(10 * 0.01 + 40 * 0.1)


def test_a_gate_that_must_compute_every_step_has_no_cached_step_to_charge(adapter: ModelAdapter) -> None:
    gate = GateSpec("dicache", 0.1, warm_steps=NUM_STEPS)
    cost = measure_gate_cost(adapter, adapter.encode("a red circle"), gate, Reuse())
    assert cost == GateCost(0.0, 0.0)


def test_one_step_leaves_nothing_to_cache() -> None:
    single = tiny_adapter(num_steps=1)
    with pytest.raises(BadInputError, match=r"model\.num_steps = 1"):
        measure_gate_cost(single, single.encode("a red circle"), GateSpec("fbcache", 0.1), Reuse())
