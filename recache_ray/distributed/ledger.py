"""Which tasks wait, which run and how often each was tried: every task id leaves exactly once."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from recache_ray.types import PolicySnapshot, RolloutFailure, Task


@dataclass(slots=True, eq=False)
class WorkItem:
    """A task with what travels with it, how many times it was handed to a worker, since when it waits (monotonic)."""

    task: Task
    snapshot: PolicySnapshot | None
    attempts: int = 0
    since: float = field(default_factory=time.monotonic)


class Ledger:
    """The account of a pool's tasks.

    A task is waiting or running until :meth:`finish` or the last :meth:`give_back` removes it; only then may its id
    be submitted again.
    """

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._waiting: deque[WorkItem] = deque()
        self._ids: set[int] = set()  # waiting and running

    def __len__(self) -> int:
        """Tasks waiting or running."""
        return len(self._ids)

    @property
    def waiting(self) -> int:
        """Tasks no worker has."""
        return len(self._waiting)

    @property
    def oldest_wait_s(self) -> float:
        """How long the longest waiting task has waited; 0 where none does."""
        now = time.monotonic()
        return max((now - item.since for item in self._waiting), default=0.0)

    def add(self, task: Task, snapshot: PolicySnapshot | None) -> None:
        """Queue a task at the end.

        Raises:
            ValueError: if its id is waiting or running.
        """
        if task.task_id in self._ids:
            raise ValueError(f"task {task.task_id} is in flight already")
        self._ids.add(task.task_id)
        self._waiting.append(WorkItem(task, snapshot))

    def take(self) -> WorkItem | None:
        """The next task for a worker, counted as one attempt; None when nothing waits."""
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        item.attempts += 1
        return item

    def finish(self, item: WorkItem) -> None:
        """The task has its result."""
        self._ids.remove(item.task.task_id)

    def give_back(self, item: WorkItem, reason: str, worker: str) -> RolloutFailure | None:
        """The worker was lost: queue the task at the front, or give up on it after the last attempt."""
        if item.attempts < self._max_attempts:
            item.since = time.monotonic()
            self._waiting.appendleft(item)
            return None
        self.finish(item)
        return RolloutFailure(
            item.task.task_id, reason=f"{item.attempts} attempts, the last: {reason}", retryable=True, worker=worker
        )

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._ids.clear()
