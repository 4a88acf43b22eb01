"""What the pool tells Prometheus through Ray; ``cluster/monitoring/`` holds the dashboard that shows it.

Ray exports every name with the prefix ``ray_``, and counters with the suffix ``_total``. Rates and ratios are left to
the dashboard: rollouts per second, GPU seconds per reward, forwards saved are quotients of these counters.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from ray.util.metrics import Counter, Gauge

from recache_ray.types import BatchReport, PolicySnapshot, RolloutFailure, RolloutGroup, TaskResult

COUNTERS: Mapping[str, str] = {
    "recache_rollouts": "rollouts that came back, known rewards among them",
    "recache_rewards": "rewards measured: distinct schedules that were not known before",
    "recache_gpu_seconds": "seconds of work on rollouts times the GPUs of the worker",
    "recache_forwards_requested": "transformer forwards that one pipeline call per schedule would have run",
    "recache_forwards_executed": "transformer forwards that ran",
    "recache_failures": "tasks that gave no result after their last attempt",
    "recache_restarts": "rollout actors lost and replaced",
}
GAUGES: Mapping[str, str] = {
    "recache_reward_mean": "mean reward of the newest group",
    "recache_policy_lag": "policy versions that the newest group was behind when it came back",
    "recache_queue_age_seconds": "how long the oldest task without a worker has waited",
    "recache_queue_tasks": "tasks without a worker",
    "recache_workers": "rollout actors by phase",
}
_PHASE = "phase"
_STATE_EVERY_S = 1.0


class PoolMetrics:
    """Counts what a pool does, in the process that owns it.

    Args:
        gpus_per_worker: what one worker holds while it works.
    """

    def __init__(self, gpus_per_worker: float) -> None:
        self._gpus = gpus_per_worker
        self._counters: dict[str, Any] = {name: Counter(name, description=text) for name, text in COUNTERS.items()}
        self._gauges: dict[str, Any] = {
            name: Gauge(name, description=text, tag_keys=(_PHASE,) if name == "recache_workers" else ())
            for name, text in GAUGES.items()
        }
        self._newest_version = 0
        self._next_state = 0.0

    def submitted(self, snapshot: PolicySnapshot | None) -> None:
        """A task was handed in with this policy."""
        if snapshot is not None:
            self._newest_version = max(self._newest_version, snapshot.version)

    def finished(self, result: TaskResult) -> None:
        """A task came back or was given up."""
        if isinstance(result, RolloutFailure):
            self._add("recache_failures", 1)
        elif isinstance(result, BatchReport):
            for group in result.groups:
                self._count(group)
        elif isinstance(result, RolloutGroup):
            self._count(result)

    def _count(self, result: RolloutGroup) -> None:
        self._add("recache_rollouts", len(result.rollouts))
        self._add("recache_rewards", result.evaluations)
        self._add("recache_gpu_seconds", result.seconds * self._gpus)
        self._add("recache_forwards_requested", result.forwards_requested)
        self._add("recache_forwards_executed", result.forwards_executed)
        if result.rollouts:
            self._gauges["recache_reward_mean"].set(fmean(r.breakdown.reward for r in result.rollouts))
        self._gauges["recache_policy_lag"].set(max(0, self._newest_version - result.policy_version))

    def lost(self) -> None:
        """An actor was lost."""
        self._add("recache_restarts", 1)

    def state(self, waiting: int, oldest_s: float, workers: Mapping[str, int]) -> None:
        """The queue and the workers by phase; looked at once a second, however often it is told."""
        now = time.monotonic()
        if now < self._next_state:
            return
        self._next_state = now + _STATE_EVERY_S
        self._gauges["recache_queue_tasks"].set(waiting)
        self._gauges["recache_queue_age_seconds"].set(oldest_s)
        for phase, count in workers.items():
            self._gauges["recache_workers"].set(count, tags={_PHASE: phase})

    def _add(self, name: str, amount: float) -> None:
        if amount > 0:  # Ray refuses an increment of zero
            self._counters[name].inc(amount)
