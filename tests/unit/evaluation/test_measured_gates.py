"""What gates did is remembered: nothing runs twice, nothing found is lost, and the same figures come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from recache_ray.errors import BadInputError
from recache_ray.evaluation.gate_threshold import ThresholdSearch
from recache_ray.evaluation.gates import GatedMethod, measure_gates
from recache_ray.evaluation.measured_gates import MeasuredGates
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score, held_out_requests
from recache_ray.types import (
    GateSpec,
    GenerationRequest,
    MechanismSpec,
    RolloutGroup,
    RolloutTask,
    TaskResult,
)

NUM_STEPS = 12
REQUESTS = held_out_requests(6)
TAYLOR, REUSE = MechanismSpec("taylor", 1), MechanismSpec("reuse")
IDENTITY = {"model": "tiny", "reward": {"alpha": 0.0}}
THREE, FOUR = GateSpec("fbcache", 0.3), GateSpec("fbcache", 0.4)


def decide(request: GenerationRequest, gate: GateSpec) -> Schedule:
    """Ten times the threshold, one more for every other prompt."""
    return Schedule(NUM_STEPS, tuple(range(round(10 * min(gate.threshold, 1.0)) + request.prompt.index % 2 or 1)))


def scripted(**options: object) -> ScriptedPool:
    return ScriptedPool(gap_score, decide=decide, **options)  # type: ignore[arg-type]


def methods(*gates: GateSpec, mechanism: MechanismSpec = TAYLOR) -> dict[str, GatedMethod]:
    return {"fbcache": GatedMethod(mechanism, {round(10 * gate.threshold): gate for gate in gates})}


def ran(pool: ScriptedPool) -> list[tuple[GenerationRequest, MechanismSpec, GateSpec]]:
    return [
        (task.request, task.mechanism, gate)
        for task in pool.tasks
        if isinstance(task, RolloutTask)
        for gate in task.gates
    ]


def test_only_what_is_missing_runs_and_the_figures_are_those_of_a_run_at_once(tmp_path: Path) -> None:
    with MeasuredGates(tmp_path, IDENTITY) as memory:
        measure_gates(scripted(failing={1, 4}), methods(THREE), REQUESTS, memory=memory)
    again = MeasuredGates(tmp_path, IDENTITY)
    assert len(again) == 4
    pool = scripted()
    with again:
        found = measure_gates(pool, methods(THREE, FOUR), REQUESTS, memory=again)
    wanted = {(request, TAYLOR, gate) for request in REQUESTS for gate in (THREE, FOUR)}
    known = {(request, TAYLOR, THREE) for index, request in enumerate(REQUESTS) if index not in (1, 4)}
    assert len(ran(pool)) == len(set(ran(pool))) and set(ran(pool)) == wanted - known
    assert found == measure_gates(scripted(), methods(THREE, FOUR), REQUESTS)
    untouched = scripted()
    assert measure_gates(untouched, methods(THREE, FOUR), REQUESTS, memory=MeasuredGates(tmp_path, IDENTITY)) == found
    assert not untouched.tasks


@pytest.mark.parametrize(
    ("identity", "method"),
    [
        ({"model": "other"}, methods(THREE)),
        (IDENTITY, methods(THREE, mechanism=REUSE)),
        (IDENTITY, methods(replace(THREE, warm_steps=2))),
        (IDENTITY, methods(replace(THREE, table=(1.0, 0.0)))),
    ],
)
def test_what_differs_in_anything_that_decides_runs_anew(
    tmp_path: Path, identity: dict[str, object], method: dict[str, GatedMethod]
) -> None:
    with MeasuredGates(tmp_path, IDENTITY) as memory:
        measure_gates(scripted(), methods(THREE), REQUESTS, memory=memory)
    pool = scripted()
    measure_gates(pool, method, REQUESTS, memory=MeasuredGates(tmp_path, identity))
    assert len(ran(pool)) == len(REQUESTS)


def test_thresholds_tried_before_do_not_run_and_count_as_work_all_the_same(tmp_path: Path) -> None:
    def search(pool: ScriptedPool) -> ThresholdSearch:
        return ThresholdSearch(pool, THREE, REQUESTS, TAYLOR, NUM_STEPS, memory=MeasuredGates(tmp_path, IDENTITY))

    with MeasuredGates(tmp_path, IDENTITY) as memory:
        first = ThresholdSearch(scripted(), THREE, REQUESTS, TAYLOR, NUM_STEPS, memory=memory)
        found = [first.match(budget) for budget in (6, 3)]
    untouched = scripted()
    second = search(untouched)
    assert [second.match(budget) for budget in (6, 3)] == found and not untouched.tasks
    alone = ThresholdSearch(scripted(), THREE, REQUESTS, TAYLOR, NUM_STEPS)
    assert [alone.match(budget) for budget in (6, 3)] == found
    assert first.work == alone.work
    assert (second.work.generations, second.work.forwards_executed) == (
        alone.work.generations,
        alone.work.forwards_executed,
    )
    assert second.work.seconds == pytest.approx(alone.work.seconds)


def test_a_generation_scored_for_its_reward_alone_does_not_stand_for_an_evaluation(tmp_path: Path) -> None:
    memory = MeasuredGates(tmp_path, IDENTITY)
    task = RolloutTask(0, REQUESTS[0], TAYLOR, gates=(THREE,))
    memory.run(scripted(), [task], "calibrate")
    pool = scripted()
    memory.run(pool, [replace(task, all_metrics=True)], "adaptive")
    assert len(ran(pool)) == 1
    memory.run(pool, [task], "calibrate")
    assert len(ran(pool)) == 1  # more than was asked for does


def test_what_was_found_before_a_run_broke_off_is_kept(tmp_path: Path) -> None:
    class Stopped(ScriptedPool):
        def collect(self) -> Sequence[TaskResult]:
            if len(self.tasks) > 4:
                raise KeyboardInterrupt
            return super().collect()

    pool = Stopped(gap_score, decide=decide, capacity=1)
    with pytest.raises(KeyboardInterrupt), MeasuredGates(tmp_path, IDENTITY) as memory:
        measure_gates(pool, methods(THREE), REQUESTS, memory=memory)
    kept = len(MeasuredGates(tmp_path, IDENTITY))
    assert 0 < kept < len(REQUESTS)
    pool = scripted()
    measure_gates(pool, methods(THREE), REQUESTS, memory=MeasuredGates(tmp_path, IDENTITY))
    assert len(ran(pool)) == len(REQUESTS) - kept


def test_several_gates_of_a_task_share_its_forwards_exactly(tmp_path: Path) -> None:
    task = RolloutTask(0, REQUESTS[1], TAYLOR, gates=(THREE, FOUR))
    (group,) = MeasuredGates(tmp_path, IDENTITY).run(scripted(), [task], "adaptive")
    assert isinstance(group, RolloutGroup)
    assert group.forwards_executed == sum(decide(REQUESTS[1], gate).budget for gate in (THREE, FOUR))


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    memory = MeasuredGates(tmp_path, IDENTITY)
    memory.path.write_bytes(b"no parquet")
    with pytest.raises(BadInputError, match=r"gated-[0-9a-f]{12}\.parquet: cannot read the measured gates"):
        MeasuredGates(tmp_path, IDENTITY)
