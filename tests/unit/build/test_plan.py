"""The verb ``plan`` against figures worked out by hand, and budgets in every notation through the cost of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recache_ray.build import memory_check
from recache_ray.build.budgets import evaluation_budgets, generation_budget, learning_budgets
from recache_ray.build.measured_cost import STEP_COST_FILE, measured_cost, write_measured_cost
from recache_ray.build.plan import make_plan
from recache_ray.cli.main import main
from recache_ray.config.root import Config, load_config
from recache_ray.diffusion.cost import StepCost
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec

# 200 updates of 64 schedules with 12 of 50 steps computed, 400 references, at 400 TFLOP/s
PUBLISHED_RUN = {
    "prompts": {"num_train": 200, "num_validation": 100, "num_test": 100},
    "learning": {"budgets": "12", "siblings": 8, "tasks_per_update": 8, "num_updates": 200, "polish_evaluations": 0},
    "plan": {"peak_tflops": 1000.0, "utilisation": 0.4, "executed_share": 1.0},
}
FLUX = {
    "kind": "flux",
    "path": "black-forest-labs/FLUX.1-dev",
    "dtype": "bfloat16",
    "num_steps": 50,
    "height": 1024,
    "width": 1024,
    "max_text_tokens": 512,
}
SPEC = MechanismSpec("taylor", 1)
MEASURED = StepCost(computed_flops=100.0, cached_flops=1.0, computed_s=0.02, cached_s=0.002)


def config(values: dict[str, Any]) -> Config:
    return load_config(values, runs=False)


def test_flux_takes_the_gpu_hours_estimated_for_it() -> None:
    made = make_plan(config({**PUBLISHED_RUN, "model": FLUX}))
    references, gradient, screening, polish, confirmation, _ = made.phases
    done = (references.generations, gradient.generations, screening.generations, polish.generations)
    assert done == (400, 12_800, 0, 0) and confirmation.generations == 0
    assert gradient.flops(made.step) / gradient.generations / 1e12 == pytest.approx(893, rel=0.01)
    assert references.seconds(made.step, 0.0) / 400 == pytest.approx(9.3, rel=0.01)
    assert references.seconds(made.step, 0.3) / 3600 == pytest.approx(1.07, rel=0.05)
    assert gradient.seconds(made.step, 0.3) / 3600 == pytest.approx(9.0, rel=0.05)
    assert made.measured_on == ""


def test_screening_is_counted_where_only_some_validation_prompts_judge() -> None:
    prompts = {"num_train": 8, "num_validation": 100, "num_test": 8}
    learning = {"budgets": "5..25", "polish_evaluations": 500, "num_judges": 24}
    values = {**PUBLISHED_RUN, "model": FLUX, "prompts": prompts}
    by_name = {phase.name: phase for phase in make_plan(config({**values, "learning": learning})).phases}
    assert by_name["screening"].generations == 300 and by_name["screening"].computed_steps == 100 * (5 + 11 + 25)
    # eight finalists and four rivals, of 64 prompts on an eighth, six on a quarter, three on half, two on all
    assert by_name["confirmation"].generations == 21 * (12 * 8 + 6 * 8 + 3 * 16 + 2 * 32)
    all_judge = make_plan(config({**values, "learning": {**learning, "num_judges": 100}})).phases
    done = {phase.name: phase.generations for phase in all_judge}
    assert done["screening"] == done["confirmation"] == 0


def test_wan_takes_the_gpu_hours_estimated_for_it() -> None:
    plan = {**PUBLISHED_RUN["plan"], "architecture": "wan21_1_3b"}
    learning = {**PUBLISHED_RUN["learning"], "budgets": "15"}
    made = make_plan(config({**PUBLISHED_RUN, "plan": plan, "learning": learning}))
    gradient = made.phases[1]
    assert gradient.flops(made.step) / gradient.generations / 1e15 == pytest.approx(8.5, rel=0.01)
    assert gradient.seconds(made.step, 0.0) / 3600 == pytest.approx(75, rel=0.05)


def test_shared_forwards_shorten_training_and_nothing_else() -> None:
    whole = make_plan(config({**PUBLISHED_RUN, "model": FLUX})).phases
    plan = {**PUBLISHED_RUN["plan"], "executed_share": 0.5}
    half = make_plan(config({**PUBLISHED_RUN, "model": FLUX, "plan": plan})).phases
    assert [b.computed_steps / a.computed_steps for a, b in zip(whole, half, strict=True) if a.generations] == [
        1,
        0.5,
        1,
    ]


def test_the_verb_prints_steps_flops_memory_and_hours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "model=flux", "mechanism=taylor", "learning.budgets=10,x2", "runtime.num_workers=4"]) == 0
    out = capsys.readouterr().out
    for expected in (
        "black-forest-labs/FLUX.1-dev 1024x1024, T = 50, taylor1, bfloat16",
        "74.38 TF",
        "3.719 PF a generation",
        "22.17 GiB",
        "50.3 MB a sibling",
        "÷5.00",
        "25/50",
        "hours, 4 workers",
        "references",
        "assumed",
    ):
        assert expected in out
    assert max(map(len, out.splitlines())) <= 120


def test_the_verb_takes_models_without_an_adapter(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "architecture=wan21_14b", "size=1280x720x81", "learning.budgets=25", "runtime.max_batch=32"]
    assert main([*arguments, "mechanism=taylor2"]) == 0
    out = capsys.readouterr().out
    assert "wan21_14b 1280x720x81, T = 50" in out and "6.523 PF" in out and "2 guidance branches" in out
    assert "does NOT fit 80 GiB: set runtime.max_batch=8, lower mechanism.order" in out


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"plan": {"architecture": "wan"}}, r"architecture 'wan': must be one of flux_dev"),
        ({"plan": {"size": "64x64"}}, r"plan\.size = '64x64': goes with plan\.architecture"),
        ({"plan": {"architecture": "flux_dev", "size": "big"}}, r"plan\.size = 'big': is no size"),
        ({"plan": {"architecture": "wan21_14b", "size": "832x480x80"}}, r"frames = 80 must be a multiple of 4 plus 1"),
        ({"plan": {"architecture": "flux_dev"}, "learning": {"budgets": "51"}}, r"'51': .* num_steps = 50"),
        ({"plan": {"architecture": "flux_dev"}, "learning": {"budgets": "1"}}, r"budget 1 has a single schedule"),
        ({"plan": {"architecture": "flux_dev"}, "learning": {"budgets": "9ms"}}, r"no time of a step was measured"),
        ({"model": {**FLUX, "path": "someone/else"}}, r"model\.path = 'someone/else': its architecture is not known"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        make_plan(config(values))
    assert "\n" not in str(caught.value)


def record(folder: Path, **changed: object) -> None:
    model = {"id": "shapes", "num_steps": 20, "height": 64, "width": 64, "frames": 1, "dtype": "float32"}
    write_measured_cost(folder, {**model, "device": "cpu", **changed}, SPEC, MEASURED, {"seed": 0})


def test_every_notation_resolves_through_the_cost_of_steps(tmp_path: Path) -> None:
    values: dict[str, Any] = {"run": {"dir": str(tmp_path)}, "learning": {"budgets": "x5,30%"}}
    assert learning_budgets(load_config(values)) == (4, 6)
    record(tmp_path)
    values["learning"]["budgets"] = "2..3, x2, 250ms"
    values["evaluation"] = {"budgets": "1,0.1s"}
    values["generate"] = {"budget": "90ms"}
    made = load_config(values)
    assert learning_budgets(made) == (2, 3, 10, 11)  # 11 * 20 + 9 * 2 = 238 ms
    assert evaluation_budgets(made) == (1, 3)  # 3 * 20 + 17 * 2 = 94 ms
    assert generation_budget(made, 20) == 2  # 2 * 20 + 18 * 2 = 76 ms
    assert evaluation_budgets(load_config({"run": {"dir": str(tmp_path)}})) == (3, 4, 5)


def test_numbers_of_steps_need_no_known_architecture() -> None:
    values = {"model": {**FLUX, "path": "someone/else"}, "learning": {"budgets": "5..7"}, "prompts": {"file": "p.txt"}}
    assert learning_budgets(load_config(values)) == (5, 6, 7)
    values["learning"] = {"budgets": "x5"}
    with pytest.raises(BadInputError, match="its architecture is not known"):
        learning_budgets(load_config(values))


def test_a_time_never_measured_names_the_command_that_measures(tmp_path: Path) -> None:
    values = {"run": {"dir": str(tmp_path)}, "learning": {"budgets": "250ms"}}
    wanted = rf"learning\.budgets = '250ms': seconds .* never measured .* recache bench step run\.dir={tmp_path}"
    with pytest.raises(BadInputError, match=wanted):
        learning_budgets(load_config(values))
    for changed in ({"num_steps": 50}, {"width": 128}, {"dtype": "bfloat16"}, {"id": "another"}, {"frames": 5}):
        record(tmp_path, **changed)
        with pytest.raises(BadInputError, match=wanted):
            learning_budgets(load_config(values))
    record(tmp_path)
    with pytest.raises(BadInputError, match=wanted):
        learning_budgets(load_config({**values, "mechanism": {"kind": "newton", "order": 2}}))
    with pytest.raises(BadInputError, match="budget 1 has a single schedule"):
        learning_budgets(load_config({**values, "learning": {"budgets": "60ms"}}))


def test_the_cost_a_training_measured_serves_where_no_bench_ran(tmp_path: Path) -> None:
    record(tmp_path)
    (tmp_path / STEP_COST_FILE).rename(tmp_path / "schedules.json")
    made = load_config({"run": {"dir": str(tmp_path)}})
    found = measured_cost(made)
    assert found is not None and (found.step, found.device) == (MEASURED, "cpu")
    planned = make_plan(made)
    assert planned.step == MEASURED and planned.measured_on == "cpu"
    (tmp_path / STEP_COST_FILE).write_text(json.dumps({"cost": {"computed_s": 1}}))
    with pytest.raises(BadInputError, match=rf"{STEP_COST_FILE}: cannot be read .* recache bench step run\.dir="):
        measured_cost(made)


def test_a_worker_that_cannot_fit_is_refused_before_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_check, "free_memory", lambda device: (10_000_000, "this machine"))
    memory_check.check_memory(load_config({"runtime": {"max_batch": 1}}))
    with pytest.raises(
        BadInputError, match=r"runtime\.max_batch = 32\).*this machine has .*set runtime\.max_batch=\d+"
    ):
        monkeypatch.setattr(memory_check, "free_memory", lambda device: (9_400_000, "this machine"))
        memory_check.check_memory(load_config({}))
