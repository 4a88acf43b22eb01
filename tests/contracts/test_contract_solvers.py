"""Solvers of one evaluation a step work whatever history they keep; solvers of two are refused."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
from contract_runs import TOLERANCE, T, distance, identical, make, random_schedules, run

from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.production import cached, enable
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import tiny_model, tiny_pipeline

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
SINGLE = [
    ("wan", "UniPCMultistepScheduler", {**FLOW, "solver_order": 3}),
    ("wan", "DPMSolverMultistepScheduler", {**FLOW, "solver_order": 2}),
    ("wan", "FlowMatchEulerDiscreteScheduler", {"shift": 5.0}),
    ("pixart_sigma", "UniPCMultistepScheduler", {}),
    ("pixart_sigma", "DPMSolverMultistepScheduler", {"solver_order": 3}),
    ("pixart_sigma", "DPMSolverSinglestepScheduler", {}),
    ("sd3", "UniPCMultistepScheduler", FLOW),
    ("cogvideox", "CogVideoXDPMScheduler", {}),
]
DOUBLE = [
    ("flux", "FlowMatchHeunDiscreteScheduler"),
    ("sd3", "FlowMatchHeunDiscreteScheduler"),
    ("pixart_sigma", "HeunDiscreteScheduler"),
    ("pixart_sigma", "KDPM2DiscreteScheduler"),
]


def with_scheduler(kind: str, name: str, settings: dict[str, Any]) -> Any:
    pipeline = tiny_pipeline(kind)
    pipeline.scheduler = getattr(diffusers, name)(**settings)
    return pipeline


@pytest.mark.parametrize(("kind", "name", "settings"), SINGLE, ids=[f"{kind}-{name}" for kind, name, _ in SINGLE])
def test_solvers_keep_their_own_history(kind: str, name: str, settings: dict[str, Any], device: str) -> None:
    model = make(kind, pipeline=with_scheduler(kind, name, settings), device=device)
    full = [Schedule.full(T)]
    untouched = run(model, full)
    assert len(untouched.latents) == T
    with cached(model.pipeline, full[0], "taylor"):
        assert identical(run(model, full), untouched)
    siblings = random_schedules(3, seed=7)
    together = run(model, siblings, TaylorSeer(1))
    for row, sibling in enumerate(siblings):
        alone = run(model, [sibling], TaylorSeer(1))
        assert distance(together.latents[-1][row], alone.latents[-1][0]) < TOLERANCE


@pytest.mark.parametrize(("kind", "name"), DOUBLE)
def test_solvers_that_evaluate_twice_are_refused_with_the_reason(kind: str, name: str) -> None:
    pipeline = with_scheduler(kind, name, {})
    with pytest.raises(BadInputError, match=f"{name}: evaluates the transformer 2 times a step"):
        tiny_model(kind, pipeline=pipeline)
    with pytest.raises(BadInputError, match="use a multi-step solver"):
        enable(pipeline, Schedule.full(T))
