"""Adaptive baselines brought to a budget on a tiny real pipeline, and on prompts outside the comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from recache_ray.build.gates import Gates, find_gates, gate_requests
from recache_ray.build.requests import prompt_set
from recache_ray.config.root import Config, load_config
from recache_ray.evaluation.gate_threshold import MatchedGate
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.inline import InlinePool
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_worker import NUM_STEPS, build_tiny_worker
from recache_ray.types import GateSpec, MechanismSpec

TAYLOR = MechanismSpec("taylor", 1)


def config(*baselines: str, split: str = "test", gate_prompts: int = 2) -> Config:
    return load_config(
        {
            "run": {"dir": "runs/none"},
            "model": {"num_steps": NUM_STEPS},
            "references": {"dir": "references/none"},
            "learning": {"budgets": "4"},
            "evaluation": {"baselines": baselines, "gate_prompts": gate_prompts, "split": split},
        }
    )


def test_calibration_prompts_are_never_those_of_the_comparison() -> None:
    for split, expected in (("test", "validation"), ("train", "validation"), ("validation", "train")):
        requests = gate_requests(config("fbcache", split=split))
        assert len(requests) == 2
        assert {request.prompt.split for request in requests} == {expected}
        evaluated = {prompt.text for prompt in prompt_set(config()).split(split)}  # type: ignore[arg-type]
        assert not evaluated & {request.prompt.text for request in requests}
    assert gate_requests(config("uniform", "random")) == ()


def test_gates_and_frozen_schedules_come_as_configured(tmp_path: Path) -> None:
    wanted = config("uniform", "teacache", "easycache_frozen", "dicache_dcta", gate_prompts=1)
    pool, said = InlinePool(build_tiny_worker(str(tmp_path), "w0")), list[str]()
    gates = find_gates(wanted, pool, TAYLOR, (4,), lambda line: said.append(str(line)))
    assert {name: method.mechanism.id for name, method in gates.adaptive.items()} == {
        "teacache": "taylor1",
        "dicache_dcta": "dcta",
    }
    assert len(gates.adaptive["teacache"].gates[4].table) == 5
    assert gates.adaptive["dicache_dcta"].gates[4].warm_steps == 2
    assert set(gates.frozen) == {"easycache_frozen"}
    (frozen,) = gates.frozen["easycache_frozen"][4]
    assert (frozen.num_steps, frozen.budget) == (NUM_STEPS, 4)
    lines = [line for line in said if " at budget 4: threshold " in line]
    assert [line.split()[0] for line in lines] == ["teacache", "easycache", "dicache_dcta"]


def test_without_adaptive_baselines_nothing_runs() -> None:
    class NoPool:
        def __getattr__(self, name: str) -> None:
            pytest.fail(f"the pool was asked for {name}")

    assert find_gates(config("uniform"), NoPool(), TAYLOR, (4,), print) == Gates()  # type: ignore[arg-type]


def test_a_budget_that_a_gate_does_not_reach_is_said_with_what_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfReach:
        work = Work()

        def __init__(self, *arguments: object, **options: object) -> None: ...

        def match(self, budget: int) -> MatchedGate:
            return MatchedGate(GateSpec("fbcache", 0.25), budget, 5.4, False, Schedule.from_steps(NUM_STEPS, range(4)))

    monkeypatch.setattr("recache_ray.build.gates.ThresholdSearch", OutOfReach)
    said: list[str] = []
    find_gates(config("fbcache"), InlinePool(None), TAYLOR, (4,), lambda line: said.append(str(line)))  # type: ignore[arg-type]
    assert said == ["fbcache at budget 4: threshold 0.25, 5.40 computed steps on average, the nearest to 4 it reaches"]
