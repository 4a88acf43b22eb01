"""A waiting person is told what was asked, what is there, what is missing and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recache_ray.distributed.fleet_status import FleetStatus, duration

WAITING = FleetStatus(
    slots=8,
    ready=3,
    loading=1,
    waiting=4,
    lost=0,
    waited_s=185.0,
    reservation={"GPU": 1.0, "CPU": 0.0},
    cluster={"GPU": 4.0, "CPU": 32.0},
)


def test_missing_gpus_are_counted_and_timed() -> None:
    assert WAITING.line() == (
        "asked 8 GPUs, 4 joined, 4 pending for 3 min: "
        "rollouts 3/8 ready, 1 load the model, 4 wait for GPU:1; cluster has 4 GPUs"
    )
    assert replace(WAITING, launches="2 nodes starting").line().endswith("; cluster has 4 GPUs; 2 nodes starting")
    assert "runtime.gpus_per_worker or runtime.min_workers" in WAITING.remedy()


def test_shares_of_gpus_add_up() -> None:
    shared = replace(WAITING, reservation={"GPU": 0.25, "CPU": 1.0})
    assert shared.line().startswith("asked 2 GPUs, 1 joined, 1 pending for 3 min: ")
    assert shared.line().endswith("wait for GPU:0.25 CPU:1; cluster has 4 GPUs 32 CPUs")


def test_nothing_is_pending_where_nothing_is_reserved_or_everything_has_a_place() -> None:
    free = replace(WAITING, reservation={"GPU": 0.0, "CPU": 0.0})
    assert free.line() == "rollouts 3/8 ready, 1 load the model, 4 wait for a process"
    assert "raise runtime.startup_timeout_s" in free.remedy()
    placed = replace(WAITING, loading=0, waiting=0, ready=7, lost=1)
    assert placed.line() == "rollouts 7/8 ready, 1 were lost; cluster has 4 GPUs"
    assert "raise runtime.startup_timeout_s" in placed.remedy()


def test_cpus_have_their_own_remedy() -> None:
    assert "runtime.cpus_per_worker" in replace(WAITING, reservation={"GPU": 0.0, "CPU": 2.0}).remedy()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (185, "3 min"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
