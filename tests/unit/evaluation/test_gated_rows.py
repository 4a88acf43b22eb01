"""Frontier rows of adaptive methods: computed steps that arose, and a price that includes asking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from recache_ray.baselines.registry import baseline_schedules
from recache_ray.config.evaluation import EvaluationConfig
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.evaluate import Evaluation, evaluate
from recache_ray.evaluation.frontier import Generated, read_frontier
from recache_ray.evaluation.gates import GatedMethod, measure_gates
from recache_ray.evaluation.paired import paired_ratio, prompt_means
from recache_ray.evaluation.samples import SAMPLES
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import TenthCost, flat_picture, gap_score, held_out_requests
from recache_ray.types import GateSpec, GenerationRequest, MechanismSpec, RewardBreakdown, RolloutTask

REQUESTS = held_out_requests(6)
TAYLOR, DCTA = MechanismSpec("taylor", 1), MechanismSpec("dcta")
METHODS = {
    "fbcache": GatedMethod(TAYLOR, {4: GateSpec("fbcache", 0.4), 3: GateSpec("fbcache", 0.3)}),
    "dicache_dcta": GatedMethod(DCTA, {3: GateSpec("dicache", 0.3)}),
}


def decide(request: GenerationRequest, gate: GateSpec) -> Schedule:
    """Ten times the threshold, one more for every other prompt."""
    return Schedule(12, tuple(range(round(10 * gate.threshold) + request.prompt.index % 2)))


def test_rows_average_what_arose_and_charge_what_asking_cost() -> None:
    pool = ScriptedPool(gap_score, decide=decide)
    result = measure_gates(pool, METHODS, REQUESTS, first_task_id=5)
    rows = result.rows(REQUESTS, TenthCost(), bootstrap_samples=100, seed=0)
    assert [(row.schedule, row.mechanism, row.budget) for row in rows] == [
        ("fbcache", "taylor1", 3), ("fbcache", "taylor1", 4), ("dicache_dcta", "dcta", 3)
    ]  # fmt: skip
    row = rows[0]
    schedules = [decide(request, METHODS["fbcache"].gates[3]) for request in REQUESTS]
    assert (row.computed_steps_mean, row.computed_steps_std, row.num_samples) == (3.5, 0.5, 6)
    assert row.lpips == pytest.approx(
        np.mean([gap_score(request, s).metrics["lpips"] for request, s in zip(REQUESTS, schedules, strict=True)])
    )
    # TenthCost: a cached step costs a tenth of a computed one; the pool charges a hundredth for asking
    forwards = [s.budget + 0.11 * (12 - s.budget) for s in schedules]
    assert row.flops_ratio == pytest.approx(np.mean([12 / each for each in forwards]))
    assert row.seconds == pytest.approx(0.5 * np.mean(forwards))
    tasks = [task for task in pool.tasks if isinstance(task, RolloutTask)]
    assert [task.task_id for task in tasks] == list(range(5, 5 + result.num_tasks))
    assert all(task.all_metrics and not task.schedules for task in tasks)


def evaluated(folder: Path, *, failing: Collection[int]) -> Evaluation:
    """The policy, a uniform rival and both adaptive methods; 6 tasks, then 6 for fbcache and 6 for dicache."""
    pool = ScriptedPool(gap_score, draw=flat_picture, decide=decide, failing=failing)
    table = ScheduleTable(12, {k: Schedule.from_steps(12, (0, *range(13 - k, 12))) for k in (3, 4)})
    rivals = {"uniform": {k: baseline_schedules("uniform", 12, k) for k in (3, 4)}}
    return evaluate(
        pool, table, rivals, REQUESTS, TAYLOR, TenthCost(), EvaluationConfig(bootstrap_samples=100, grid_prompts=2),
        folder, budgets=(3, 4), seed=0, adaptive=METHODS,
    )  # fmt: skip


def test_a_prompt_that_one_gate_failed_on_is_left_out_for_every_method_and_counted(tmp_path: Path) -> None:
    result = evaluated(tmp_path, failing=[7])
    assert [row.num_samples for row in result.rows] == [5] * 7
    samples = SAMPLES.read(tmp_path / "samples.parquet")
    prompts = {(s.schedule, s.budget): set[int]() for s in samples}
    for sample in samples:
        prompts[sample.schedule, sample.budget].add(sample.prompt_index)
    assert len(prompts) == 7 and all(seen == {0, 2, 3, 4, 5} for seen in prompts.values())
    assert [failure.task_id for failure in result.failures] == [7]
    assert result.remarks == (
        "1 of 6 prompts are left out for every method, since a generation failed",
        "the first failure: scripted failure",
    )
    means = {
        name: prompt_means(s for s in samples if (s.schedule, s.budget) == (name, 3)) for name in ("policy", "fbcache")
    }
    assert paired_ratio(means["policy"], means["fbcache"], samples=100, seed=0).num_prompts == 5


def test_a_gate_that_fails_often_is_left_out_itself_and_costs_the_others_no_prompt(tmp_path: Path) -> None:
    result = evaluated(tmp_path, failing=[6, 9])
    assert {row.schedule for row in result.rows} == {"policy", "uniform", "dicache_dcta"}
    assert {row.num_samples for row in result.rows} == {6}
    assert result.remarks[0] == "fbcache is left out: 2 of its 6 generations failed, at most a fifth may"
    assert len(result.remarks) == 2 and len(result.failures) == 2


def test_without_a_prompt_that_all_completed_there_is_no_comparison(tmp_path: Path) -> None:
    gates = {str(i): METHODS["dicache_dcta"] for i in range(6)}
    pool = ScriptedPool(gap_score, draw=flat_picture, decide=decide, failing=[6 + 7 * i for i in range(6)])
    table = ScheduleTable(12, {3: Schedule(12, (0, 1, 2))})
    with pytest.raises(RunFailedError, match="no prompt is left that every method completed"):
        evaluate(
            pool, table, {}, REQUESTS, TAYLOR, TenthCost(), EvaluationConfig(bootstrap_samples=100, grid_prompts=2),
            tmp_path, budgets=(3,), seed=0, adaptive=gates,
        )  # fmt: skip


def test_without_partial_forwards_the_price_is_the_schedules_to_the_last_bit() -> None:
    for budget in range(1, 13):
        schedule = Schedule(12, tuple(range(budget)))
        generated = Generated("a", schedule, RewardBreakdown(0.0))
        assert generated.flops_ratio(TenthCost()) == TenthCost().flops_ratio(schedule)
        assert generated.seconds(TenthCost()) == TenthCost().seconds(schedule)


def test_an_evaluation_holds_adaptive_rows_beside_the_others(tmp_path: Path) -> None:
    pool = ScriptedPool(gap_score, draw=flat_picture, decide=decide)
    table = ScheduleTable(12, {k: Schedule.from_steps(12, (0, *range(13 - k, 12))) for k in (3, 4)})
    result = evaluate(
        pool, table, {}, REQUESTS, TAYLOR, TenthCost(), EvaluationConfig(bootstrap_samples=100, grid_prompts=2),
        tmp_path, budgets=(3, 4), seed=0, adaptive=METHODS,
    )  # fmt: skip
    assert [(row.schedule, row.budget) for row in result.rows] == [
        ("policy", 3), ("policy", 4), ("fbcache", 3), ("fbcache", 4), ("dicache_dcta", 3)
    ]  # fmt: skip
    assert read_frontier(result.files[0]) == result.rows
    assert [task.task_id for task in pool.tasks] == list(range(len(pool.tasks)))
    counted = Counter((s.schedule, s.mechanism, s.budget) for s in SAMPLES.read(tmp_path / "samples.parquet"))
    assert counted == {(row.schedule, row.mechanism, row.budget): row.num_samples for row in result.rows}
