"""Calibrated baselines from configuration to frontier, on a tiny real pipeline in this process."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recache_ray.baselines.offline import OFFLINE
from recache_ray.build.calibration import calibration_for
from recache_ray.build.evaluation import baseline_methods, check_evaluation, run_evaluation
from recache_ray.build.progress import OnProgress
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.evaluate import Evaluation
from recache_ray.evaluation.search_cost import COSTS
from recache_ray.learning.progress import Progress
from recache_ray.metrics.pixel import psnr
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.references.store import ReferenceStore
from recache_ray.rollouts.inline import InlinePool
from recache_ray.rollouts.worker import RolloutWorker
from recache_ray.schedules import ScheduleTable
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.testing.tiny_worker import NUM_STEPS, DifferenceScorer
from recache_ray.types import CalibrationTask, MechanismSpec, PolicySnapshot, RewardBreakdown, RolloutTask, Task

SPEC = MechanismSpec("taylor", 1)


class PixelScorer(DifferenceScorer):
    """With a PSNR that depends on the picture."""

    def score(
        self, images: NDArray[np.uint8], reference_image: NDArray[np.uint8], prompt: str = "", all_metrics: bool = False
    ) -> list[RewardBreakdown]:
        rows = super().score(images, reference_image, prompt, all_metrics)
        figures = psnr(images, reference_image)
        return [
            RewardBreakdown(row.reward, {**row.metrics, "psnr": figure})
            for row, figure in zip(rows, figures, strict=True)
        ]


class RecordingPool(InlinePool):
    """Keeps what was submitted."""

    def __init__(self, worker: RolloutWorker) -> None:
        super().__init__(worker)
        self.tasks: list[Task] = []

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        self.tasks.append(task)
        super().submit(task, snapshot)


def make_config(folder: Path, *baselines: str, **evaluation: Any) -> Config:
    return load_config(
        {
            "run": {"dir": str(folder / "run")},
            "references": {"dir": str(folder / "references")},
            "model": {"num_steps": NUM_STEPS},
            "prompts": {"num_train": 3, "num_validation": 1, "num_test": 2},
            "learning": {"budgets": "3..4", "rivals": []},
            "evaluation": {
                "baselines": list(baselines), "calibration_prompts": 2, "lemica_max_gap": 4,
                "bootstrap_samples": 100, "grid_prompts": 1, **evaluation,
            },
        }
    )  # fmt: skip


def run(config: Config, on_progress: OnProgress) -> tuple[Evaluation, list[Task]]:
    torch.set_num_threads(1)
    adapter = tiny_adapter(NUM_STEPS)
    store = ReferenceStore.open(config.references.dir, adapter.identity())
    pool = RecordingPool(RolloutWorker(adapter, store, PixelScorer(), 32, "w0"))
    policy = BudgetPolicy(NUM_STEPS, [3, 4])
    table = ScheduleTable(NUM_STEPS, {k: policy.distribution(k).mode() for k in (3, 4)})
    return run_evaluation(config, pool, table, policy, on_progress), pool.tasks


def test_offline_rivals_are_calibrated_on_train_prompts_once_and_compared_on_held_out_ones(tmp_path: Path) -> None:
    config = make_config(tmp_path, "uniform", *OFFLINE)
    seen: list[Progress | str] = []
    result, tasks = run(config, seen.append)
    rows = {(row.schedule, row.budget): row for row in result.rows}
    for name in ("policy", "uniform", *OFFLINE):
        for budget in (4,) if name == "cache_dit" else (3, 4):
            assert rows[name, budget].computed_steps_mean == budget and rows[name, budget].computed_steps_std == 0
    assert ("cache_dit", 3) not in rows
    assert "cache_dit has no schedule for budgets 3; it is compared at 4" in seen
    train = requests_of(prompt_set(config).train)
    calibrating = [task.request for task in tasks if isinstance(task, CalibrationTask)]
    assert calibrating == list(train[:2])
    measured = [task for task in tasks if isinstance(task, RolloutTask)]
    edges = [task for task in measured if task.request in train]
    assert {task.request for task in edges} == set(train[:2])
    assert {task.request for task in measured} - set(train) == set(requests_of(prompt_set(config).test))
    assert {record.phase for record in seen if isinstance(record, Progress)} >= {"calibrate", "evaluate"}

    folder = tmp_path / "run" / "calibration"
    cost = json.loads((folder / "residuals.json").read_text())["cost"]
    assert (cost["generations"], cost["forwards_executed"]) == (2, 2 * NUM_STEPS)
    cost = json.loads((folder / "edges.json").read_text())["cost"]
    assert cost["generations"] == sum(len(task.schedules) for task in edges)
    assert 0 < cost["forwards_executed"] < cost["forwards_requested"]

    unused = ScriptedPool(gap_score)
    stored, _ = calibration_for(config, unused, asdict(tiny_adapter(NUM_STEPS).spec), SPEC, OFFLINE, seen.append)
    assert not unused.tasks
    compared = {schedule for task in measured if task.request not in train for schedule in task.schedules}
    for by_budget in baseline_methods(config, (3, 4), stored).values():
        assert {schedule for group in by_budget.values() for schedule in group} <= compared
    with pytest.raises(
        BadInputError, match=r"residuals\.json: was calibrated with mechanism = taylor1, .* needs reuse"
    ):
        calibration_for(
            config, unused, asdict(tiny_adapter(NUM_STEPS).spec), MechanismSpec("reuse"), ["dpcache"], seen.append
        )


def test_searches_run_on_train_prompts_once_and_state_their_cost(tmp_path: Path) -> None:
    config = make_config(tmp_path, "uniform", "budcache", "random_search", search_evaluations=6, search_prompts=2)
    result, tasks = run(config, print)
    rows = {(row.schedule, row.budget): row for row in result.rows}
    train = requests_of(prompt_set(config).train)
    searching = [task for task in tasks if isinstance(task, RolloutTask) and task.request in train]
    assert {task.request for task in searching} == set(train[:2])
    pairs = sum(len(task.schedules) for task in searching)
    assert pairs == 2 * 2 * 6  # two methods, two budgets, six (prompt, schedule) pairs each
    for name in ("budcache", "random_search"):
        for budget in (3, 4):
            assert rows[name, budget].computed_steps_mean == budget and rows[name, budget].computed_steps_std == 0
    costs = COSTS.read(tmp_path / "run" / "evaluation" / "cost.parquet")
    assert costs == result.costs and {cost.method for cost in costs} == {"budcache", "random_search"}
    found = [cost for cost in costs if cost.part == "search"]
    assert sum(cost.generations for cost in found) == pairs
    assert {cost.budgets for cost in found} == {(3,), (4,)}
    assert all(0 < cost.forwards_executed <= cost.forwards_requested for cost in found)
    (reference,) = [cost for cost in costs if cost.part == "references" and cost.method == "budcache"]
    assert reference.forwards_executed == 2 * NUM_STEPS

    again, tasks = run(config, print)
    assert not [task for task in tasks if isinstance(task, RolloutTask) and task.request in train]
    timeless = [[replace(row, seconds=0.0) for row in each.rows] for each in (result, again)]
    assert timeless[0] == timeless[1]


def test_baselines_without_calibration_need_no_train_prompt(tmp_path: Path) -> None:
    unused = ScriptedPool(gap_score)
    config = make_config(tmp_path, "uniform", "cache_dit", "random")
    calibration_for(config, unused, {}, SPEC, config.evaluation.baselines, print)
    assert not unused.tasks and not (tmp_path / "run").exists()
    assert set(baseline_methods(config, (3, 4))["cache_dit"]) == {4}


@pytest.mark.parametrize(
    ("baseline", "settings", "message"),
    [
        ("cache_dit", {"budgets": "3"}, r"budget = 3: its presets compute 4, 5, 6, 7 of 8 steps"),
        ("lemica", {"lemica_max_gap": 2}, r"lemica_max_gap = 2: budget 3 of 8 steps needs at least 3; raise it"),
        ("dpcache", {"calibration_prompts": 4}, r"calibration_prompts = 4: must be at most prompts.num_train = 3"),
        (
            "uniform",
            {"budgets": "4,6"},
            r"evaluation.budgets = '4,6': 6 is not among learning.budgets = '3..4'; choose",
        ),
        ("budcache", {"search_prompts": 4}, r"search_prompts = 4: must be at most prompts.num_train = 3"),
        (
            "random_search",
            {"search_prompts": 3, "search_evaluations": 2},
            r"search_evaluations = 2: must be at least evaluation.search_prompts = 3",
        ),
        ("smoothcash", {}, r"unknown baseline 'smoothcash'; did you mean smoothcache\?"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    tmp_path: Path, baseline: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        check_evaluation(make_config(tmp_path, baseline, **settings))


@pytest.mark.parametrize(
    ("mechanism", "identity"),
    [({"kind": "taylor", "cut": "modules"}, "taylor1_modules"), ({"kind": "delta"}, "delta")],
)
def test_rivals_that_rest_on_the_whole_stack_are_refused_under_another_cut(
    tmp_path: Path, mechanism: dict[str, str], identity: str
) -> None:
    def configured(*baselines: str) -> Config:
        section = replace(Config().mechanism, **mechanism)
        return replace(make_config(tmp_path, *baselines), mechanism=section)

    for unfit in ("teacache", "dicache_frozen", "dpcache", "dpcache_exact"):
        with pytest.raises(BadInputError, match=rf"{unfit} rest on forecasts of the whole .*{identity} does not"):
            check_evaluation(configured("uniform", unfit))
    fit = ("uniform", "magcache_frozen", "lemica", "dicache_dcta")
    assert check_evaluation(configured(*fit)) == fit


def test_dpcache_cannot_be_calibrated_where_forecasts_need_a_probe(tmp_path: Path) -> None:
    section = replace(Config().mechanism, kind="dcta")
    with pytest.raises(BadInputError, match=r"dpcache rest on forecasts .* mechanism dcta does not make"):
        check_evaluation(replace(make_config(tmp_path, "dpcache"), mechanism=section))
    fit = ("teacache", "dicache_frozen", "smoothcache")
    assert check_evaluation(replace(make_config(tmp_path, *fit), mechanism=section)) == fit
