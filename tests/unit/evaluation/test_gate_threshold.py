"""Thresholds for a budget, against a gate whose decisions are computed in closed form."""

from __future__ import annotations

import math
import random

import pytest

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.gate_threshold import ThresholdSearch, modal_schedule
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score, held_out_requests
from recache_ray.types import GateSpec, GenerationRequest, MechanismSpec, RolloutTask

NUM_STEPS = 30
REQUESTS = held_out_requests(8)
GATE = GateSpec("dicache", 123.0, warm_steps=2)
REUSE = MechanismSpec("reuse")


def accumulate(request: GenerationRequest, gate: GateSpec) -> Schedule:
    """Adds up a change per step that depends on the prompt, as the accumulating gates do; the last step is forced."""
    draw = random.Random(request.prompt.index)
    steps, total = [0], 0.0
    for step in range(1, NUM_STEPS):
        total += 0.02 + 0.2 * draw.random()
        if step < gate.warm_steps or step == NUM_STEPS - 1 or not total < gate.threshold:
            steps.append(step)
            total = 0.0
    return Schedule(NUM_STEPS, tuple(steps))


def all_alike(request: GenerationRequest, gate: GateSpec) -> Schedule:
    """Computes 10 steps or 20, never a number between."""
    return Schedule(NUM_STEPS, tuple(range(10 if gate.threshold > 0.7 else 20)))


def search(pool: ScriptedPool, **options: object) -> ThresholdSearch:
    return ThresholdSearch(pool, GATE, REQUESTS, REUSE, NUM_STEPS, **options)  # type: ignore[arg-type]


def test_the_mean_is_within_the_tolerance_at_every_budget_in_reach() -> None:
    pool = ScriptedPool(gap_score, decide=accumulate)
    calibration = search(pool)
    thresholds = []
    for budget in range(5, NUM_STEPS + 1):
        match = calibration.match(budget)
        schedules = [accumulate(request, match.gate) for request in REQUESTS]
        mean = sum(schedule.budget for schedule in schedules) / len(schedules)
        assert match.reached and abs(mean - budget) <= 0.3, budget
        assert match.computed_steps_mean == mean
        assert match.frozen.budget == budget
        assert (match.gate.kind, match.gate.warm_steps) == ("dicache", 2)
        thresholds.append(match.gate.threshold)
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] == 0.0
    ids = [task.task_id for task in pool.tasks]
    assert ids == list(range(calibration.work.generations)) and calibration.next_task_id == len(ids)
    tried = {task.gates[0].threshold for task in pool.tasks if isinstance(task, RolloutTask)}
    assert len(tried) * len(REQUESTS) == calibration.work.generations  # nothing is measured twice


def test_a_budget_below_what_is_forced_says_what_was_reached() -> None:
    match = search(ScriptedPool(gap_score, decide=accumulate)).match(2)
    assert (match.reached, match.computed_steps_mean) == (False, 3.0)
    assert math.isinf(match.gate.threshold)
    assert match.frozen == Schedule(NUM_STEPS, (0, 1))  # no generation had two: the steps used most, earliest first


def test_a_budget_that_is_jumped_over_ends_after_bounded_rounds_with_the_nearest() -> None:
    pool = ScriptedPool(gap_score, decide=all_alike)
    match = search(pool, max_rounds=5).match(14)
    assert (match.reached, match.computed_steps_mean) == (False, 10.0)
    assert len(pool.tasks) <= (5 + 1) * len(REQUESTS)
    assert search(ScriptedPool(gap_score, decide=all_alike)).match(20).reached


def test_the_modal_schedule_is_the_most_frequent_of_exactly_the_budget() -> None:
    early, late, longer = (Schedule(6, steps) for steps in ((0, 1, 2), (0, 4, 5), (0, 1, 2, 3)))
    assert modal_schedule(3, [late, early, late, longer, longer, longer]) == late
    assert modal_schedule(3, [late, early]) == early
    assert modal_schedule(3, [longer], [early, late, late]) == late
    assert modal_schedule(2, [longer, late, late]) == Schedule(6, (0, 4))
    assert modal_schedule(6, [late]) == Schedule.full(6)


def test_wrong_use_and_failures_are_reported() -> None:
    pool = ScriptedPool(gap_score, decide=accumulate, failing=[3])
    with pytest.raises(BadInputError, match=r"calibrating dicache: no prompts given; raise prompts\.num_validation"):
        ThresholdSearch(pool, GATE, [], REUSE, NUM_STEPS)
    with pytest.raises(BadInputError, match="budget = 31: must be between 1 and num_steps = 30"):
        search(pool).match(31)
    with pytest.raises(RunFailedError, match="calibrating dicache at threshold inf: scripted failure"):
        search(pool).match(5)
