from pathlib import Path

import pytest

from recache_ray.baselines.uniform import uniform, uniform_ends
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.measure import measure
from recache_ray.evaluation.measured import MeasuredGenerations
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score, held_out_requests
from recache_ray.types import MechanismSpec, RolloutTask

SPEC = MechanismSpec("taylor", 1)
REQUESTS = held_out_requests(6)


def test_each_pair_is_measured_once_with_all_metrics_even_when_methods_agree() -> None:
    pool = ScriptedPool(gap_score, capacity=2)
    methods = {
        "policy": {3: (uniform(10, 3),), 10: (Schedule.full(10),)},
        "uniform": {3: (uniform(10, 3),), 10: (uniform(10, 10),)},
        "uniform_ends": {3: (uniform_ends(10, 3),)},
    }
    seen: list[tuple[str, int, int]] = []
    measured = measure(
        pool, methods, [*REQUESTS, REQUESTS[0]], SPEC, first_task_id=40, on_progress=lambda *now: seen.append(now)
    )
    tasks = [task for task in pool.tasks if isinstance(task, RolloutTask)]
    assert [task.task_id for task in tasks] == list(range(40, 46))
    assert all(task.all_metrics and not task.return_images and len(task.schedules) == 3 for task in tasks)
    assert measured.requests == tuple(REQUESTS)
    assert len(measured.breakdowns) == 6 * 3
    for (request, schedule), breakdown in measured.breakdowns.items():
        assert breakdown == gap_score(request, schedule)
    assert seen[-1] == ("evaluate", 6, 6)
    assert measured.forwards_executed < measured.forwards_requested
    assert pool.max_in_flight == 4


def test_what_was_measured_before_is_not_run_again_and_an_interrupted_evaluation_goes_on(tmp_path: Path) -> None:
    identity = {"model": "tiny", "reward": {"alpha": 0.0}}
    first = {"a": {3: (uniform(10, 3),)}}
    both = {**first, "b": {3: (uniform_ends(10, 3),), 4: (uniform(10, 4),)}}
    memory = MeasuredGenerations(tmp_path, identity)
    with pytest.raises(RunFailedError):
        measure(ScriptedPool(gap_score, failing={3, 4}), first, REQUESTS, SPEC, memory=memory)
    memory.save()
    again = MeasuredGenerations(tmp_path, identity)
    assert len(again) == 4
    pool = ScriptedPool(gap_score)
    measured = measure(pool, both, REQUESTS, SPEC, memory=again)
    ran = [(task.request, s) for task in pool.tasks if isinstance(task, RolloutTask) for s in task.schedules]
    assert len(ran) == len(set(ran)) == 6 * 3 - 4
    assert measured.breakdowns == measure(ScriptedPool(gap_score), both, REQUESTS, SPEC).breakdowns
    untouched = ScriptedPool(gap_score)
    assert measure(untouched, both, REQUESTS, SPEC, memory=MeasuredGenerations(tmp_path, identity)).breakdowns
    assert not untouched.tasks


@pytest.mark.parametrize("identity", [{"model": "other"}, {"model": "tiny", "reward": 1}])
def test_measurements_of_another_model_or_reward_are_kept_apart(tmp_path: Path, identity: dict[str, object]) -> None:
    methods = {"a": {3: (uniform(10, 3),)}}
    measure(ScriptedPool(gap_score), methods, REQUESTS, SPEC, memory=MeasuredGenerations(tmp_path, {"model": "tiny"}))
    other = MeasuredGenerations(tmp_path, identity)
    assert len(other) == 0 and other.known(REQUESTS[0], SPEC, [uniform(10, 3)]) == {}
    same = MeasuredGenerations(tmp_path, {"model": "tiny"})
    assert same.known(REQUESTS[0], MechanismSpec("reuse"), [uniform(10, 3)]) == {}


def test_long_lists_are_split_without_losing_or_repeating_a_pair() -> None:
    pool = ScriptedPool(gap_score)
    methods = {"a": {k: (uniform(150, k),) for k in range(1, 151)}}
    measured = measure(pool, methods, REQUESTS[:2], SPEC)
    sizes = [len(task.schedules) for task in pool.tasks if isinstance(task, RolloutTask)]
    assert sizes == [64, 64, 22] * 2 and measured.num_tasks == 6
    assert len(measured.breakdowns) == 2 * 150


def test_a_failed_prompt_is_left_out_for_every_method() -> None:
    methods = {"a": {3: (uniform(10, 3),)}, "b": {3: (uniform_ends(10, 3),)}}
    measured = measure(ScriptedPool(gap_score, failing={2}), methods, REQUESTS, SPEC)
    assert REQUESTS[2] not in measured.requests and len(measured.requests) == 5
    assert {request for request, _ in measured.breakdowns} == set(measured.requests)
    assert [failure.task_id for failure in measured.failures] == [2]


def test_too_many_failures_end_the_evaluation_with_the_reason() -> None:
    methods = {"a": {3: (uniform(10, 3),)}}
    with pytest.raises(RunFailedError, match="2 of 6 tasks failed, the first with 'scripted failure'"):
        measure(ScriptedPool(gap_score, failing={1, 4}), methods, REQUESTS, SPEC)
    with pytest.raises(RunFailedError):
        measure(ScriptedPool(gap_score, failing={0}), methods, REQUESTS[:1], SPEC, max_failure_share=1.0)


def test_a_pool_that_forgets_a_task_is_noticed() -> None:
    pool = ScriptedPool(gap_score)
    pool.submit = lambda task, snapshot=None: None  # type: ignore[method-assign]
    with pytest.raises(RunFailedError, match="never answered"):
        measure(pool, {"a": {3: (uniform(10, 3),)}}, REQUESTS[:1], SPEC)
