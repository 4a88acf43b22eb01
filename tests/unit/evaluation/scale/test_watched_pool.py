"""The watched pool passes everything through and marks what came in time."""

from __future__ import annotations

import threading

import pytest

from recache_ray.evaluation.scale import watched_pool
from recache_ray.evaluation.scale.watched_pool import Span, WatchedPool
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RewardBreakdown, RolloutTask


class Clock:
    """Time that passes when told to; CPU time is a tenth of it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 10

    thread_time = process_time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watched_pool, "time", clock)
    return clock


def task(task_id: int) -> RolloutTask:
    request = GenerationRequest(Prompt(task_id, f"prompt {task_id}"), task_id)
    return RolloutTask(
        task_id, request, MechanismSpec("reuse"), schedules=(Schedule(4, (0, 2)),), policy_version=task_id
    )


def test_the_window_opens_after_the_warm_up_and_closes_in_time(clock: Clock) -> None:
    stop = threading.Event()
    pool = WatchedPool(ScriptedPool(lambda *_: RewardBreakdown(0.0)), 10.0, 20.0, stop, version=lambda: 12)
    for number in range(12):  # results at 5, 10, ..., 60 s: warm until 15, open until 35
        clock.now += 5.0
        pool.submit(task(number))
        assert [result.task_id for result in pool.collect()] == [number]
        assert stop.is_set() == (clock.now > 35.0)
        if stop.is_set():
            break
    begin, end = pool.window.begin, pool.window.end
    assert begin is not None and end is not None
    assert (begin.wall_s, begin.groups) == (15.0, 3)
    assert (end.wall_s, end.groups, end.cpu_s) == (35.0, 7, 3.5)
    assert pool.window.lags == [9, 8, 7, 6]  # of the groups after the mark that opened it
    assert pool.window.actors == {"scripted": Span(20.0, 35.0, 0.0)}
    assert pool.sent[0][0] == task(0)


def test_nothing_is_marked_while_nothing_comes(clock: Clock) -> None:
    pool = WatchedPool(ScriptedPool(lambda *_: RewardBreakdown(0.0)), 0.0, 1.0, threading.Event(), lambda: 0)
    assert list(pool.collect()) == []
    assert pool.window.begin is None and pool.in_flight == 0 and pool.capacity == 2
