"""The rollout benchmark counts and times the same work done two ways."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from recache_ray.errors import RunFailedError
from recache_ray.evaluation.bench_rollout import bench_rollout
from recache_ray.testing.fake_worker import FakeWorker, build_fake_worker, fake_task
from recache_ray.types import PolicySnapshot, Task, TaskResult

MACHINE = {"cpu": "abacus", "cpu_count": 2}


class PacedWorker(FakeWorker):
    """Fifty milliseconds a call, whatever the number of schedules."""

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        time.sleep(0.05)
        return super().run(task, snapshot)


def test_counts_rewards_forwards_and_speed(tmp_path: Path) -> None:
    lines: list[str] = []
    tasks = [fake_task(task_id, budgets=(3, 5, 5, 7)) for task_id in range(3)]
    result = bench_rollout(PacedWorker(tmp_path, "w"), tasks, None, MACHINE, lines.append)
    assert (result.tasks, result.rewards, result.distinct_schedules) == (3, 12, 9)
    assert (result.forwards_requested, result.forwards_executed) == (3 * 20, 3 * 7)
    assert result.executed_share == pytest.approx(0.35)
    assert result.largest_difference == 0.0
    assert 1.2 < result.speed_up < 16  # four calls for one; a busy machine blurs it
    assert len(lines) == 3
    document = json.loads(json.dumps(result.to_json()))
    assert document["machine"] == MACHINE
    console = Console(width=100, record=True)
    console.print(result.table())
    text = console.export_text()
    assert "shared prefixes" in text
    assert "abacus" in text


def test_a_failed_rollout_spoils_the_comparison(tmp_path: Path) -> None:
    worker = build_fake_worker(str(tmp_path), "w")
    with pytest.raises(RunFailedError, match="generation is not finite"):
        bench_rollout(worker, [fake_task(1, "not finite")], None, MACHINE)
