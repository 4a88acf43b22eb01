"""Turns a defect met while running one task into a failure of that task, so that a run survives it."""

from __future__ import annotations

import logging
from typing import Protocol

from recache_ray.errors import RecacheError
from recache_ray.types import PolicySnapshot, RolloutFailure, Task, TaskResult

_LOG = logging.getLogger(__name__)


class Worker(Protocol):
    """What runs tasks: :class:`recache_ray.rollouts.worker.RolloutWorker`, or a light stand-in."""

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        """Run one task."""
        ...


def run_guarded(worker: Worker, task: Task, snapshot: PolicySnapshot | None, name: str = "") -> TaskResult:
    """Run ``task``; an unexpected exception becomes a ``RolloutFailure`` that is not worth retrying.

    Tasks are deterministic, so the same exception would come again. Errors of ours (a full disk, a store of another
    model) concern the whole run and are raised.

    Raises:
        RecacheError: whatever the worker raised of them.
    """
    try:
        return worker.run(task, snapshot)
    except RecacheError:
        raise
    except Exception as error:
        _LOG.debug("task %d failed", task.task_id, exc_info=True)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return RolloutFailure(task.task_id, reason=text[:300], retryable=False, worker=name)
