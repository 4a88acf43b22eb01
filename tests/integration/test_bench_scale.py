"""The simulated cluster around the real pool: a few actors for seconds, both ways of playing them, and a preemption."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from recache_ray.build.bench_scale import bench_scale
from recache_ray.config.root import load_config
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.ray_pool import RayPool
from recache_ray.distributed.simulated.actors import SharedProcess
from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RolloutGroup, RolloutTask

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("cluster")]


def test_the_benchmark_measures_processes_and_one_process_alike(tmp_path: Path) -> None:
    scale = {"actors": [2, 16], "processes": 2, "seconds": 6.0, "warmup_s": 1.0, "mean_s": 0.5, "prompts": 64}
    config = load_config({"run": {"dir": str(tmp_path)}, "scale": {**scale, "steps": 20, "budgets": "3..6"}})
    text, _ = bench_scale(config, lambda line: None)
    points = json.loads((tmp_path / "bench_scale.json").read_text())["points"]
    assert [(point["actors"], point["shared"]) for point in points] == [(2, False), (2, True), (16, True)]
    for point in points:
        # two groups a second of every actor, if it never waited
        assert 0.3 * 2 * point["actors"] < point["groups_per_s"] < 1.1 * 2 * point["actors"]
        assert 0.3 < point["efficiency"] < 1.05
        assert point["core_share"] > 0 and point["lag_max"] >= point["lag_p50"] >= 0
        assert 0 < point["received_bytes"] < point["sent_bytes"] < 100_000
    assert "one core is full at" in text
    assert (tmp_path / "bench_scale.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "scale").exists()


def test_actors_that_share_a_process_are_lost_one_by_one_and_their_tasks_done_elsewhere() -> None:
    load = SimulatedLoad(mean_s=0.2, cv=0.0, preemptions_per_hour=3600.0, reload_s=0.1)
    source = SharedProcess(load, 12, actors=4)
    lines: list[str] = []
    pool = RayPool(source, RuntimeConfig(num_workers=4, cpus_per_worker=0.0, max_attempts=100), lines.append)
    request = GenerationRequest(Prompt(0, "a small red star"), 1)
    for task_id in range(40):
        pool.submit(RolloutTask(task_id, request, MechanismSpec("reuse"), budgets=(3,), sampling_seed=task_id))
    results = []
    deadline = time.monotonic() + 60
    while pool.in_flight and time.monotonic() < deadline:
        results.extend(pool.collect(timeout_s=1.0))
    pool.close()
    source.close()
    assert sorted(result.task_id for result in results) == list(range(40))
    assert all(isinstance(result, RolloutGroup) for result in results)
    assert any("lost rollout-" in line for line in lines)
