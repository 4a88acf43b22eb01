"""Which training tasks go to the pool when, and which results make up the next update.

Deterministic order: task n samples from policy version ``max(0, n // B - lag)`` and waits until that version exists;
update u takes exactly its B tasks, in the order of their ids. Nothing depends on timing, so a killed and resumed run
repeats the same updates bit for bit. Arrival order: a task samples from the newest version, an update takes the next B
results that come back. Either way every task id is used in exactly one update.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recache_ray.config.learning import LearningConfig
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.plan import TaskPlan
from recache_ray.policies.narrow import narrowed
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import PolicySnapshot, RolloutFailure, RolloutGroup, TaskResult


class Dispatcher:
    """The ledger of training tasks: waiting, in the pool, back, and used."""

    def __init__(
        self, plan: TaskPlan, pool: RolloutPool, memo: RewardMemo, section: LearningConfig, snapshot: PolicySnapshot
    ) -> None:
        self._plan, self._pool, self._memo, self._section = plan, pool, memo, section
        self._snapshots = {snapshot.version: snapshot}
        self._sent: dict[tuple[int, tuple[int, ...]], PolicySnapshot] = {}
        self._waiting = deque(range(section.num_updates * section.tasks_per_update))
        self._submitted: set[int] = set()
        self._results: dict[int, RolloutGroup | RolloutFailure] = {}

    @property
    def version(self) -> int:
        """The newest policy version."""
        return max(self._snapshots)

    def publish(self, snapshot: PolicySnapshot) -> None:
        """Make a new policy version available to tasks; versions no task can ask for any more are let go."""
        self._snapshots[snapshot.version] = snapshot
        oldest = snapshot.version - self._plan.policy_lag
        self._snapshots = {version: kept for version, kept in self._snapshots.items() if version >= oldest}
        self._sent.clear()

    def fill(self) -> None:
        """Submit tasks until the pool holds two per worker, or none may start before the next update.

        In arrival order one per worker: a task that waits in the pool ages there, and would come back as old again.
        """
        limit = 2 * self._pool.capacity
        if self._section.order == "arrival":  # more in flight than this would come back too old
            limit = min(self._pool.capacity, self._section.tasks_per_update * max(1, self._section.max_policy_lag))
        while self._waiting and self._pool.in_flight < limit:
            version = self._version_for(self._waiting[0])
            if version > self.version:
                return
            task_id = self._waiting.popleft()
            task = self._plan.task(task_id, version, self._memo)
            self._pool.submit(task, self._snapshot(version, task.budgets))
            self._submitted.add(task_id)

    def receive(self, results: Iterable[TaskResult]) -> None:
        """Keep results until an update takes them."""
        for result in results:
            if isinstance(result, RolloutGroup | RolloutFailure) and result.task_id in self._submitted:
                self._results[result.task_id] = result

    def take(self) -> list[RolloutGroup | RolloutFailure] | None:
        """The results of the next update, or None while some are missing."""
        size = self._section.tasks_per_update
        if self._section.order == "arrival":
            ids = list(self._results)[:size]
        else:
            ids = list(range(self.version * size, (self.version + 1) * size))
        if len(ids) < size or any(task_id not in self._results for task_id in ids):
            return None
        self._submitted.difference_update(ids)
        return [self._results.pop(task_id) for task_id in ids]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Snapshots still in use, and the ids not used by any update yet."""
        tensors = {
            str(version): torch.from_numpy(np.frombuffer(snapshot.parameters, dtype=np.uint8).copy())
            for version, snapshot in self._snapshots.items()
        }
        return tensors, {"unused_task_ids": sorted({*self._submitted, *self._waiting})}

    def load_state(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Take over the state of :meth:`state`; what was in the pool then is submitted again."""
        config = self._snapshots[self.version].config
        self._sent.clear()
        self._snapshots = {
            int(version): PolicySnapshot(int(version), config, parameters.numpy().tobytes())
            for version, parameters in tensors.items()
        }
        self._waiting = deque(document["unused_task_ids"])

    def _snapshot(self, version: int, budgets: tuple[int, ...]) -> PolicySnapshot:
        """What a task needs of a version; many tasks of an update have the same budgets."""
        if (version, budgets) not in self._sent:
            self._sent[version, budgets] = narrowed(self._snapshots[version], budgets)
        return self._sent[version, budgets]

    def _version_for(self, task_id: int) -> int:
        return self.version if self._section.order == "arrival" else self._plan.policy_version(task_id)
