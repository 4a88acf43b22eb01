"""The seam between the learner and whatever runs its tasks: this process, or actors on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from recache_ray.types import PolicySnapshot, Task, TaskResult


class RolloutPool(Protocol):
    """Takes tasks, returns results as they finish, each task exactly once.

    A task that cannot be finished comes back as a ``RolloutFailure``; a pool never loses or repeats a ``task_id``.
    Identical tasks give identical results whichever pool runs them.
    """

    @property
    def capacity(self) -> int:
        """How many tasks can run at the same time right now (at least 1)."""
        ...

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not yet collected."""
        ...

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        """Queue a task; ``snapshot`` must be given when the task samples from the policy."""
        ...

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        """Return the results that have finished, waiting until there is at least one.

        Returns an empty sequence when nothing is in flight or ``timeout_s`` has passed.

        Raises:
            RunFailedError: if the pool has no workers left and cannot get any.
        """
        ...

    def close(self) -> None:
        """End the workers; what was in flight is dropped. Safe to call twice."""
        ...
