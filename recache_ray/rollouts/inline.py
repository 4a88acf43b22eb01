"""The pool without processes: tasks run in this one, when their results are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from recache_ray.rollouts.guard import Worker, run_guarded
from recache_ray.types import PolicySnapshot, Task, TaskResult


class InlinePool:
    """Runs one task per :meth:`collect`, in the order submitted.

    Example: ``pool = InlinePool(worker); pool.submit(task, snapshot); (result,) = pool.collect()``.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue: deque[tuple[Task, PolicySnapshot | None]] = deque()

    @property
    def capacity(self) -> int:
        """Always 1."""
        return 1

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not yet collected."""
        return len(self._queue)

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        """Queue a task.

        Raises:
            ValueError: if a task with the same id is queued already.
        """
        if any(queued.task_id == task.task_id for queued, _ in self._queue):
            raise ValueError(f"task {task.task_id} is in flight already")
        self._queue.append((task, snapshot))

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        """Run the oldest task; a running task is not cut short by ``timeout_s``."""
        if not self._queue:
            return ()
        task, snapshot = self._queue[0]
        result = run_guarded(self._worker, task, snapshot)
        self._queue.popleft()
        return (result,)

    def close(self) -> None:
        """Drop what is queued."""
        self._queue.clear()
