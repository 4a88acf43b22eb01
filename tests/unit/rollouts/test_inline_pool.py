"""The pool in this process, and the guard both pools share."""

from __future__ import annotations

from pathlib import Path

import pytest

from recache_ray.errors import RunFailedError
from recache_ray.rollouts.inline import InlinePool
from recache_ray.testing.fake_worker import build_fake_worker, fake_task
from recache_ray.types import RolloutFailure


def test_tasks_run_in_order_when_collected(tmp_path: Path) -> None:
    pool = InlinePool(build_fake_worker(str(tmp_path), "inline"))
    assert not pool.collect()
    for task_id in (3, 1, 2):
        pool.submit(fake_task(task_id))
    assert (pool.in_flight, pool.capacity) == (3, 1)
    assert not (tmp_path / "3.started").exists()
    assert [result.task_id for _ in range(3) for result in pool.collect()] == [3, 1, 2]
    assert pool.in_flight == 0


def test_an_id_in_flight_is_refused_and_free_again_after_its_result(tmp_path: Path) -> None:
    pool = InlinePool(build_fake_worker(str(tmp_path), "inline"))
    pool.submit(fake_task(1))
    with pytest.raises(ValueError, match="task 1 is in flight already"):
        pool.submit(fake_task(1))
    pool.collect()
    pool.submit(fake_task(1))
    pool.close()
    assert pool.in_flight == 0


def test_defects_become_failures_and_our_errors_are_raised(tmp_path: Path) -> None:
    pool = InlinePool(build_fake_worker(str(tmp_path), "inline"))
    pool.submit(fake_task(1, "raise"))
    (failure,) = pool.collect()
    assert isinstance(failure, RolloutFailure)
    assert failure.reason == "ValueError: index 7 is out of bounds"
    assert not failure.retryable
    pool.submit(fake_task(2, "full disk"))
    with pytest.raises(RunFailedError, match="No space left"):
        pool.collect()
