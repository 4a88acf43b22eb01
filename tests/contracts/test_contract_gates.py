"""Gates on every model: what a gate decides, the same schedule given beforehand gives to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from contract_runs import SEED, Model, T

from recache_ray.caching.gates.change_recorder import ChangeRecorder
from recache_ray.caching.gates.registry import build_gate
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.types import GateSpec


@pytest.mark.parametrize("kind_of_gate", ["easycache", "fbcache", "dicache"])
def test_the_schedule_that_arose_gives_the_same_sample(model: Model, kind_of_gate: str) -> None:
    gate = build_gate(GateSpec(kind_of_gate, threshold=0.5), T)
    gated = model.adapter.run_gated(model.embeddings, SEED, gate, TaylorSeer(1))
    given = model.adapter.run(model.embeddings, SEED, [gated.schedule], TaylorSeer(1))
    assert np.array_equal(gated.generation.images, given.images)
    assert gated.generation.forwards_executed == given.forwards_executed


def test_the_modulated_input_and_the_output_change_from_step_to_step(model: Model) -> None:
    recorder = ChangeRecorder()
    schedule = model.adapter.run_gated(model.embeddings, SEED, recorder, Reuse()).schedule
    assert schedule.budget == T
    assert len(recorder.input_changes) == T - 1
    assert all(0 < change < 10 for change in (*recorder.input_changes, *recorder.output_changes))
