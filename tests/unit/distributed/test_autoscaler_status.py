"""The autoscaler's launches in a few words, from the objects Ray gives."""

from __future__ import annotations

import inspect

import pytest
from ray.autoscaler.v2.schema import ClusterStatus, LaunchRequest
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.exceptions import RaySystemError

from recache_ray.distributed import autoscaler_status
from recache_ray.distributed.autoscaler_status import describe, launches


def launch(count: int, state: LaunchRequest.Status, details: str | None = None) -> LaunchRequest:
    return LaunchRequest("g6e.2xlarge", "gpu_spot", count, state, 0, details=details)


def test_nothing_launched_is_nothing_said() -> None:
    assert describe(ClusterStatus()) == ""


def test_launches_under_way_and_failed_are_counted() -> None:
    pending, failed = LaunchRequest.Status.PENDING, LaunchRequest.Status.FAILED
    assert describe(ClusterStatus(pending_launches=[launch(1, pending)])) == "1 node starting"
    status = ClusterStatus(
        pending_launches=[launch(2, pending), launch(1, pending)],
        failed_launches=[launch(1, failed), launch(1, failed, "Insufficient\n capacity")],
    )
    assert describe(status) == "3 nodes starting, 2 launches failed (gpu_spot: Insufficient capacity)"


def test_a_head_that_does_not_answer_costs_the_words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "timeout" in inspect.signature(get_cluster_status).parameters

    class Context:
        gcs_address = "127.0.0.1:1"

    def unreachable(address: str, timeout: int) -> ClusterStatus:
        raise RaySystemError("timed out")

    monkeypatch.setattr("ray.get_runtime_context", Context)
    monkeypatch.setattr(autoscaler_status, "get_cluster_status", unreachable)
    assert launches() == ""
    monkeypatch.setattr(autoscaler_status, "get_cluster_status", lambda address, timeout: ClusterStatus())
    assert launches() == ""
