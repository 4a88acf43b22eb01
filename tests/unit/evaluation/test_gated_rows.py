"""Frontier rows of adaptive methods: computed steps that arose, and a price that includes asking."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recache_ray.config.sections import EvaluationConfig
from recache_ray.evaluation.evaluate import evaluate
from recache_ray.evaluation.frontier import Generated, read_frontier
from recache_ray.evaluation.gates import GatedMethod, measure_gates
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
    result = measure_gates(pool, METHODS, REQUESTS, TenthCost(), bootstrap_samples=100, seed=0, first_task_id=5)
    assert [(row.schedule, row.mechanism, row.budget) for row in result.rows] == [
        ("fbcache", "taylor1", 3), ("fbcache", "taylor1", 4), ("dicache_dcta", "dcta", 3)
    ]  # fmt: skip
    row = result.rows[0]
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


def test_a_failed_task_leaves_its_request_out_of_that_method() -> None:
    pool = ScriptedPool(gap_score, decide=decide, failing=[1])
    result = measure_gates(pool, METHODS, REQUESTS, TenthCost(), bootstrap_samples=100, seed=0)
    assert [row.num_samples for row in result.rows] == [5, 5, 6]
    assert [failure.task_id for failure in result.failures] == [1]


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
