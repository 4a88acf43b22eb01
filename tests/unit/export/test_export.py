"""Exporters are pure functions of a table: what they write says exactly the schedule, or says that it cannot."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest
import yaml

from recache_ray.baselines.cache_dit import cache_dit_presets
from recache_ray.errors import BadInputError
from recache_ray.export.presets import interval_steps, nearest_preset
from recache_ray.export.registry import TARGETS, check_target, export_schedule
from recache_ray.export.sglang import run_lengths
from recache_ray.export.source import Export, export_source
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.schedules.enumeration import every_schedule

MODEL = {"id": "black-forest-labs/FLUX.1-dev", "pipeline_class": "FluxPipeline", "forwards_per_step": 1}


def table_of(*schedules: Schedule, mechanism: str = "taylor1", **model: Any) -> ScheduleTable:
    rows = {schedule.budget: schedule for schedule in schedules}
    return ScheduleTable(schedules[0].num_steps, rows, {**MODEL, **model}, {"id": mechanism})


def make(target: str, schedule: Schedule, mechanism: str = "taylor1", **model: Any) -> Export:
    return check_target(target).make(export_source(table_of(schedule, mechanism=mechanism, **model), schedule.budget))


def test_a_table_of_ones_own_exports_in_one_call_at_any_form_of_budget() -> None:
    table = table_of(Schedule(20, (0, 3, 7, 13)), Schedule(20, (0, 1, 2, 3, 4)))
    for target in TARGETS:
        for budget, asked in ((4, "x5"), (5, "25%")):
            assert export_schedule(table, asked, to=target).computes == make(target, table[budget]).computes
    assert json.loads(text_of(export_schedule(table, 4, to="json", mechanism="reuse")))["mechanism"] == "reuse"
    with pytest.raises(BadInputError, match="unknown target; did you mean cache-dit"):
        export_schedule(table, 4, to="cachedit")
    with pytest.raises(BadInputError, match="budget = 6: not in this table"):
        export_schedule(table, 6, to="json")
    with pytest.raises(BadInputError, match="forwards_per_step = None"):
        export_schedule(ScheduleTable(20, {4: table[4]}, mechanism={"id": "reuse"}), 4, to="json")


def text_of(export: Export) -> str:
    (text,) = export.files.values()
    return text


def random_schedules(count: int, seed: int = 0) -> list[Schedule]:
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        num_steps = generator.randint(8, 60)
        later = generator.sample(range(1, num_steps), generator.randint(1, num_steps - 2))
        found.append(Schedule.from_steps(num_steps, (0, *later)))
    return found


@pytest.mark.parametrize("forwards", [1, 2])
def test_the_yaml_of_cache_dit_holds_mask_length_policy_and_guidance_mode(forwards: int) -> None:
    for schedule in random_schedules(50):
        config = yaml.safe_load(text_of(make("cache-dit", schedule, forwards_per_step=forwards)))["cache_config"]
        assert Schedule.from_mask(config["steps_computation_mask"]) == schedule
        assert config["num_inference_steps"] == schedule.num_steps
        assert config["steps_computation_policy"] == "static" and config["Fn_compute_blocks"] == 1
        assert config["enable_separate_cfg"] is (forwards == 2)
        assert config["taylorseer_order"] == 1


def test_run_lengths_give_back_every_schedule() -> None:
    for budget in range(1, 9):
        for schedule in every_schedule(9, budget):
            computed, cached = run_lengths(schedule)
            mask: list[int] = []
            for place, length in enumerate(computed):
                mask += [1] * length + [0] * (cached[place] if place < len(cached) else 0)
            assert Schedule.from_mask(mask) == schedule
    with pytest.raises(BadInputError, match="cannot say that nothing is cached"):
        run_lengths(Schedule.full(9))


def test_requests_of_sglang_serve_every_budget_of_the_table() -> None:
    schedules = [Schedule.from_steps(10, range(k)) for k in (3, 5, 10)]
    made = check_target("sglang-requests").make(export_source(table_of(*schedules), 3))
    by_budget = json.loads(text_of(made))["cache_dit_params_by_budget"]
    assert {int(k): v["scm_compute_bins"] for k, v in by_budget.items()} == {3: [3], 5: [5]}


def test_every_exact_target_says_so_and_the_others_say_what_they_compute() -> None:
    schedule = Schedule.from_steps(28, (0, 1, 4, 9, 15, 22))
    for name in TARGETS:
        made = make(name, schedule)
        assert made.exact == (made.computes == schedule)
        if name in ("vllm-omni", "tensorrt-llm", "openvino"):
            assert not made.exact and f"in place of {schedule.budget}" in made.notes[0]
        else:
            assert made.exact


def test_a_preset_or_interval_exports_exactly_as_itself() -> None:
    for num_steps in (8, 20, 28, 50):
        for name, preset in cache_dit_presets(num_steps).items():
            assert nearest_preset(preset)[1] == preset, name
    made = make("openvino", interval_steps(20, 3, 5))
    assert made.exact and json.loads(text_of(made)) == {"cache_interval": 5, "disable_cache_before_step": 3}
    # the rule as measured on diffusers: interval 5, before step 3, T = 20
    assert made.computes.compute_steps == (0, 1, 2, 4, 9, 14, 19)


def test_json_carries_steps_and_mask() -> None:
    for schedule in random_schedules(20, seed=1):
        document = json.loads(text_of(make("json", schedule)))
        assert (
            Schedule(schedule.num_steps, tuple(document["steps"])) == Schedule.from_mask(document["mask"]) == schedule
        )
        assert set(map(tuple, json.loads(text_of(make("smoothcache", schedule))).values())) == {tuple(document["mask"])}


def test_flags_of_stable_diffusion_cpp_hold_the_mask() -> None:
    flags = text_of(make("stable-diffusion.cpp", Schedule.from_steps(5, (0, 3))))
    assert '--scm-mask "1,0,0,1,0" --scm-policy static' in flags and "--steps 5" in flags


@pytest.mark.parametrize(
    ("target", "mechanism", "model", "message"),
    [
        ("cache-dti", "reuse", {}, r"export.to = 'cache-dti': unknown target; did you mean cache-dit\?"),
        ("cache-dit", "hermite2", {}, r"'hermite2': cache-dit forecasts by reuse or Taylor series alone; pass"),
        ("diffusers", "newton2", {}, r"'newton2': diffusers forecasts"),
        ("comfyui", "taylor2", {}, r"'taylor2': the ComfyUI node"),
        ("cache-dit", "", {}, r"neither schedules.json nor export.mechanism names one"),
        ("cache-dit", "reuse", {"forwards_per_step": None}, r"forwards_per_step = None: must be 1, or 2"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(
    target: str, mechanism: str, model: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        make(target, Schedule.from_steps(12, (0, 5)), mechanism, **model)
    assert "\n" not in str(caught.value)


def test_another_forecast_than_the_learned_one_can_be_asked_for() -> None:
    table = table_of(Schedule.from_steps(12, (0, 5)), mechanism="hermite2")
    made = check_target("cache-dit").make(export_source(table, 2, "reuse"))
    assert "taylorseer" not in text_of(made)


def test_python_exports_parse_and_hold_the_schedule() -> None:
    for name in ("cache-dit-python", "diffusers", "comfyui"):
        for schedule in (Schedule.from_steps(12, (0,)), Schedule.from_steps(12, (0, 3, 7))):
            text = text_of(make(name, schedule))
            compile(text, name, "exec")
            assert "NUM_STEPS = 12\n" in text and str(schedule.budget) in text.splitlines()[0]
            if name != "cache-dit-python":
                steps = next(line for line in text.splitlines() if line.startswith("COMPUTE_STEPS = "))
                assert tuple(eval(steps.partition("=")[2])) == schedule.compute_steps
                assert "ORDER = 1\n" in text


def test_exporting_needs_no_torch() -> None:
    code = (
        "import sys; from recache_ray.export.registry import TARGETS; "
        "from recache_ray.export.source import export_source; from recache_ray.schedules import *; "
        "t = ScheduleTable(4, {2: Schedule(4, (0, 2))}, {'forwards_per_step': 1}, {'id': 'reuse'}); "
        "TARGETS['cache-dit'].make(export_source(t, 2)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
