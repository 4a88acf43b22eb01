"""The pool on real actors: same results as inline, and every task exactly once whatever dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import ray

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.ray_pool import RayPool
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.inline import InlinePool
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.testing.fake_worker import build_fake_worker, fake_task
from recache_ray.testing.tiny_worker import build_tiny_worker
from recache_ray.types import (
    CalibrationReport,
    CalibrationTask,
    GenerationRequest,
    MechanismSpec,
    PolicySnapshot,
    Prompt,
    ReferenceReport,
    ReferenceTask,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    Task,
    TaskResult,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("cluster")]

LIGHT = RuntimeConfig(cpus_per_worker=0.0, num_workers=2, max_attempts=3, startup_timeout_s=120)
MakePool = Callable[..., RayPool]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def make_pool(tmp_path: Path, lines: list[str]) -> Iterator[MakePool]:
    pools: list[RayPool] = []

    def make(section: RuntimeConfig = LIGHT, **changes: object) -> RayPool:
        pool = RayPool(partial(build_fake_worker, str(tmp_path)), replace(section, **changes), lines.append)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


def drain(pool: RolloutPool) -> list[TaskResult]:
    results: list[TaskResult] = []
    while pool.in_flight:
        results.extend(pool.collect())
    return results


def attempts(folder: Path, task_id: int) -> list[int]:
    return [int(line) for line in (folder / f"{task_id}.started").read_text().split()]


def await_start(folder: Path, task_id: int, pool: RolloutPool) -> int:
    while not (folder / f"{task_id}.started").exists():
        assert not pool.collect(timeout_s=0.05)
    return attempts(folder, task_id)[0]


def test_results_equal_those_of_the_inline_pool(make_pool: MakePool, tmp_path: Path) -> None:
    tasks = [fake_task(i, "not finite" if i == 3 else "raise" if i == 5 else "") for i in range(12)]
    snapshot = PolicySnapshot(4, {"kind": "path"}, bytes(64))
    inline, remote = InlinePool(build_fake_worker(str(tmp_path), "inline")), make_pool()
    for task in tasks:
        inline.submit(task, snapshot)
        remote.submit(task, snapshot)
    expected = {result.task_id: replace(result, worker="") for result in drain(inline)}
    found = drain(remote)
    assert len(found) == len(tasks)
    assert {result.task_id: replace(result, worker="") for result in found} == expected
    assert {type(expected[i]) for i in (3, 5)} == {RolloutFailure}
    assert {result.worker for result in found if isinstance(result, RolloutGroup)} <= {"rollout-0", "rollout-1"}


def test_a_killed_actor_is_replaced_and_its_task_done_once(
    make_pool: MakePool, tmp_path: Path, lines: list[str]
) -> None:
    pool = make_pool()
    pool.submit(fake_task(0, "sleep 3"))
    os.kill(await_start(tmp_path, 0, pool), signal.SIGKILL)
    for task_id in range(1, 9):
        pool.submit(fake_task(task_id))
    results = drain(pool)
    assert sorted(result.task_id for result in results) == list(range(9))
    assert all(isinstance(result, RolloutGroup) for result in results)
    assert len(attempts(tmp_path, 0)) == 2
    assert any(line.startswith("lost rollout-") for line in lines)


def test_a_hung_actor_is_replaced_after_the_deadline(make_pool: MakePool, tmp_path: Path, lines: list[str]) -> None:
    pool = make_pool(num_workers=1, task_timeout_s=1.0)
    pool.submit(fake_task(0, "hang once"))
    pool.submit(fake_task(1))
    results = drain(pool)
    assert [result.task_id for result in results] == [0, 1]  # requeued at the front
    assert all(isinstance(result, RolloutGroup) for result in results)
    assert "runtime.task_timeout_s = 1 s" in " ".join(lines)


def test_a_task_that_kills_every_worker_fails_alone(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(max_attempts=2)
    pool.submit(fake_task(0, "die"))
    for task_id in range(1, 5):
        pool.submit(fake_task(task_id, "sleep 0.2"))
    results = {result.task_id: result for result in drain(pool)}
    failure = results.pop(0)
    assert isinstance(failure, RolloutFailure)
    assert failure.retryable
    assert failure.reason.startswith("2 attempts, the last: ActorDiedError")
    assert "\n" not in failure.reason
    assert len(attempts(tmp_path, 0)) == 2
    assert all(isinstance(result, RolloutGroup) for result in results.values())


def test_a_deterministic_error_is_not_tried_again(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(num_workers=1)
    pool.submit(fake_task(0, "raise"))
    pool.submit(fake_task(1))
    failure, group = drain(pool)
    assert failure == RolloutFailure(0, "ValueError: index 7 is out of bounds", retryable=False, worker="rollout-0")
    assert isinstance(group, RolloutGroup)
    assert len(attempts(tmp_path, 0)) == 1
    assert len((tmp_path / "built-rollout-0").read_text().split()) == 1, "the worker lives on"


def test_errors_about_the_whole_run_arrive_as_they_were_raised(make_pool: MakePool) -> None:
    pool = make_pool(num_workers=1)
    pool.submit(fake_task(0, "full disk"))
    with pytest.raises(RunFailedError) as caught:
        pool.collect()
    assert str(caught.value) == "references.dir = /full: cannot write 4 references (No space left); free space"


def test_workers_that_always_die_end_the_run(make_pool: MakePool) -> None:
    pool = make_pool(max_attempts=100)
    for task_id in range(4):
        pool.submit(fake_task(task_id, "die"))
    with pytest.raises(RunFailedError, match=r"^rollout workers keep failing.*ActorDiedError[^\n]*$"):
        drain(pool)


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ("bad-input", BadInputError, r"^model\.path = 'nowhere': no such folder; give one with model_index\.json$"),
        ("defect", RunFailedError, r"cannot be built: ValueError: tensor of the wrong shape"),
        ("die", RunFailedError, r"keep failing.*ActorDiedError"),
        ("hang", RunFailedError, r"0/1 ready, 1 (load the model|were lost).* after runtime\.startup_timeout_s = 6 s"),
    ],
)
def test_a_worker_that_cannot_start_gives_one_clear_error(
    make_pool: MakePool, tmp_path: Path, start: str, error: type[Exception], message: str
) -> None:
    (tmp_path / f"start-{start}").touch()
    pool = make_pool(num_workers=1, startup_timeout_s=6.0 if start == "hang" else 120.0)
    pool.submit(fake_task(0))
    with pytest.raises(error, match=message):
        pool.collect()


def test_missing_gpus_give_a_message_at_once(make_pool: MakePool) -> None:
    with pytest.raises(BadInputError, match=r"^runtime\.gpus_per_worker = 1: .* this machine has 0; lower "):
        make_pool(gpus_per_worker=1.0)


def test_on_a_joined_cluster_missing_gpus_give_progress_then_an_error(
    make_pool: MakePool, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recache_ray.distributed.fleet._STATUS_EVERY_S", 0.5)
    pool = make_pool(address="10.0.0.1:6379", gpus_per_worker=1.0, startup_timeout_s=2.0)
    pool.submit(fake_task(0))
    started = time.monotonic()
    with pytest.raises(
        RunFailedError, match=r"0/2 ready, 2 wait for GPU:1; cluster has 0 GPUs.* after runtime\.startup"
    ):
        pool.collect()
    assert time.monotonic() - started < 10
    said = "asked 2 GPUs, 0 joined, 2 pending for 0 s: rollouts 0/2 ready, 2 wait for GPU:1; cluster has 0 GPUs"
    assert [line for line in lines if line.startswith(said)]


def test_actors_without_a_place_are_recalled_while_the_others_work(
    make_pool: MakePool, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recache_ray.distributed.fleet._REMINDER_EVERY_S", 0.2)
    cores = int(ray.cluster_resources()["CPU"])
    pool = make_pool(address="10.0.0.1:6379", cpus_per_worker=1.0, num_workers=cores + 1)
    for task_id in range(4):
        pool.submit(fake_task(task_id, "sleep 0.5"))
    assert all(isinstance(result, RolloutGroup) for result in drain(pool))
    said = f"asked {cores + 1} CPUs, {cores} joined, 1 pending for "
    assert [line for line in lines if line.startswith(said)], lines


def test_reference_tasks_statuses_and_timeouts(make_pool: MakePool, lines: list[str]) -> None:
    pool = make_pool(num_workers=1)
    assert not pool.collect()
    pool.submit(ReferenceTask(0, (fake_task(0).request,)))
    with pytest.raises(ValueError, match="in flight already"):
        pool.submit(fake_task(0))
    assert drain(pool) == [ReferenceReport(0, 1, 0.0, "rollout-0")]
    pool.submit(fake_task(0, "sleep 1"))
    assert not pool.collect(timeout_s=0.1)
    assert pool.in_flight == pool.capacity == 1
    drain(pool)
    pool.submit(fake_task(1, "warn"))
    drain(pool)
    assert "rollout-0: shard 7 is damaged" in lines
    pool.close()
    pool.close()


def test_a_real_pipeline_gives_the_same_rollouts_inline_and_on_ray(tmp_path: Path) -> None:
    make_worker = partial(build_tiny_worker, str(tmp_path / "store"))
    requests = [GenerationRequest(Prompt(i, f"a small red circle {i}"), noise_seed=i) for i in range(3)]
    snapshot = BudgetPolicy(8, [3, 5]).snapshot(1)
    tasks: list[Task] = [
        RolloutTask(i, request, MechanismSpec("taylor", 1), (3, 3, 5, 5), sampling_seed=i, policy_version=1)
        for i, request in enumerate(requests)
    ]
    tasks.append(CalibrationTask(3, requests[0], MechanismSpec("taylor", 1)))
    remote = RayPool(make_worker, LIGHT)
    try:
        for i, request in enumerate(requests):
            remote.submit(ReferenceTask(i, (request,)))
        assert sum(result.written for result in drain(remote) if isinstance(result, ReferenceReport)) == 3
        for task in tasks:
            remote.submit(task, snapshot)
        found = {result.task_id: result for result in drain(remote)}
    finally:
        remote.close()
    inline = InlinePool(make_worker("inline"))
    for task in tasks:
        inline.submit(task, snapshot)
    for expected in drain(inline):
        result = found.pop(expected.task_id)
        if isinstance(expected, CalibrationReport):
            assert isinstance(result, CalibrationReport)
            assert replace(result, seconds=0.0, worker="") == replace(expected, seconds=0.0, worker="")
            continue
        assert isinstance(expected, RolloutGroup) and isinstance(result, RolloutGroup)
        assert result.rollouts == expected.rollouts
        assert result.forwards_executed == expected.forwards_executed
    assert not found
