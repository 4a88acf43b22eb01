"""What a rollout actor's process runs: a plain class around one rollout worker. It knows nothing of Ray."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from recache_ray.distributed.outcome import Outcome, capture
from recache_ray.rollouts.guard import Worker, run_guarded
from recache_ray.types import PolicySnapshot, Task

WorkerFactory = Callable[[str], Worker]
"""Makes a worker from its name, in the process that will use it; must be picklable (``functools.partial``)."""


class RolloutHost:
    """Builds its worker in :meth:`start`, not on construction, so that a failure comes back as a readable error.

    Args:
        worker_factory: makes the worker.
        name: of the worker, recorded with its results.
        hide_gpus: an actor that reserved no GPU must not use one; Ray alone leaves them visible.
        folder: working directory of the driver, which relative paths of the configuration refer to.
    """

    def __init__(self, worker_factory: WorkerFactory, name: str, hide_gpus: bool, folder: str) -> None:
        if hide_gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        if Path(folder).is_dir():
            os.chdir(folder)
        self._factory = worker_factory
        self._name = name
        self._worker: Worker | None = None

    def ping(self) -> int:
        """Process id; answers as soon as the actor has a place to run."""
        return os.getpid()

    def start(self) -> Outcome:
        """Build the worker: load the model, open the store."""

        def build() -> None:
            self._worker = self._factory(self._name)

        return capture(build)

    def run(self, task: Task, snapshot: PolicySnapshot | None) -> Outcome:
        """Run one task; the outcome holds its ``TaskResult``."""
        worker = self._worker
        if worker is None:
            raise RuntimeError("run before start")
        return capture(lambda: run_guarded(worker, task, snapshot, self._name))
