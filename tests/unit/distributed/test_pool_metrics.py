"""What the pool counts, and that the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from recache_ray.distributed import pool_metrics
from recache_ray.distributed.pool_metrics import COUNTERS, GAUGES, PoolMetrics
from recache_ray.testing.fake_worker import FakeWorker, fake_task
from recache_ray.types import PolicySnapshot, ReferenceReport, RolloutFailure, RolloutGroup

MONITORING = Path(__file__).parents[3] / "cluster" / "monitoring"
Recorded = dict[str, dict[str, float]]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Values by metric and tag, as a metrics backend would hold them."""
    values: Recorded = {}

    class Metric:
        def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
            assert description
            self.name, self.keys = name, tag_keys

        def inc(self, amount: float) -> None:
            assert amount > 0, "Ray raises"
            inside = values.setdefault(self.name, {})
            inside[""] = inside.get("", 0.0) + amount

        def set(self, value: float, tags: dict[str, str] | None = None) -> None:
            assert set(tags or {}) == set(self.keys), "Ray raises"
            values.setdefault(self.name, {})[",".join((tags or {}).values())] = value

    monkeypatch.setattr(pool_metrics, "Counter", Metric)
    monkeypatch.setattr(pool_metrics, "Gauge", Metric)
    return values


def group(tmp_path: Path, task_id: int, version: int) -> RolloutGroup:
    result = FakeWorker(tmp_path, "worker", delay_s=0.01).run(fake_task(task_id), PolicySnapshot(version, {}, b""))
    assert isinstance(result, RolloutGroup)
    return result


def test_groups_add_up(recorded: Recorded, tmp_path: Path) -> None:
    metrics = PoolMetrics(gpus_per_worker=0.5)
    metrics.submitted(PolicySnapshot(7, {}, b""))
    groups = [group(tmp_path, number, 5) for number in range(3)]
    for done in groups:
        metrics.finished(done)
    assert recorded["recache_rollouts"][""] == sum(len(done.rollouts) for done in groups)
    assert recorded["recache_rewards"][""] == sum(done.evaluations for done in groups)
    assert recorded["recache_forwards_requested"][""] == sum(done.forwards_requested for done in groups)
    assert recorded["recache_forwards_executed"][""] == sum(done.forwards_executed for done in groups)
    seconds = sum(done.seconds for done in groups)
    assert recorded["recache_gpu_seconds"][""] == pytest.approx(0.5 * seconds)
    rewards = [rollout.breakdown.reward for rollout in groups[-1].rollouts]
    assert recorded["recache_reward_mean"][""] == pytest.approx(sum(rewards) / len(rewards))
    assert recorded["recache_policy_lag"][""] == 7 - groups[-1].policy_version


def test_failures_losses_and_other_tasks(recorded: Recorded) -> None:
    metrics = PoolMetrics(gpus_per_worker=1.0)
    metrics.submitted(None)
    metrics.finished(RolloutFailure(0, reason="gone"))
    metrics.finished(ReferenceReport(1, 4, 0.0, "worker"))
    metrics.lost()
    metrics.lost()
    assert recorded == {"recache_failures": {"": 1.0}, "recache_restarts": {"": 2.0}}


def test_the_state_is_told_once_a_second(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("recache_ray.distributed.pool_metrics.time.monotonic", lambda: now[0])
    metrics = PoolMetrics(gpus_per_worker=0.0)
    metrics.state(3, 1.5, {"ready": 1, "busy": 2})
    metrics.state(9, 9.9, {"ready": 9, "busy": 9})
    assert recorded["recache_queue_tasks"][""] == 3
    assert recorded["recache_queue_age_seconds"][""] == 1.5
    assert recorded["recache_workers"] == {"ready": 1, "busy": 2}
    now[0] += 1.0
    metrics.state(0, 0.0, {"ready": 3, "busy": 0})
    assert recorded["recache_workers"] == {"ready": 3, "busy": 0}


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for expression in expressions for name in re.findall(r"\b(?:ray_)?(\w*recache\w+)", expression)}
    assert all(name.startswith("recache_") for name in asked)
    assert asked == {f"{name}_total" for name in COUNTERS} | set(GAUGES)
    assert all("ray_recache_" in expression for expression in expressions)
    for expression in expressions:  # a counter only grows: by itself it says nothing
        for name in COUNTERS:
            if name in expression:
                assert re.search(rf"(?:rate|increase)\(ray_{name}_total\[", expression)


def test_panels_do_not_overlap_and_are_explained() -> None:
    panels = json.loads((MONITORING / "grafana-dashboard.json").read_text())["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels) == len({panel["id"] for panel in panels})
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)


def test_names_are_those_prometheus_takes() -> None:
    assert not set(COUNTERS) & set(GAUGES)
    assert all(re.fullmatch(r"recache_[a-z_]+", name) for name in (*COUNTERS, *GAUGES))


def test_prometheus_finds_the_nodes_where_ray_lists_them() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (files,) = [job["file_sd_configs"][0]["files"] for job in config["scrape_configs"]]
    assert files == ["/tmp/ray/prom_metrics_service_discovery.json"]
