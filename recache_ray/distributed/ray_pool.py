"""The rollout pool on a Ray cluster: elastic, and exact about which task has been done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.fleet import Answered, Fleet, Phase
from recache_ray.distributed.ledger import Ledger, WorkItem
from recache_ray.distributed.outcome import Outcome
from recache_ray.distributed.pool_metrics import PoolMetrics
from recache_ray.distributed.rollout_actors import ActorSource, RolloutActors
from recache_ray.distributed.rollout_host import WorkerFactory
from recache_ray.types import PolicySnapshot, RolloutFailure, Task, TaskResult

_TICK_S = 0.5


class RayPool:
    """Runs tasks on ``runtime.num_workers`` actors; results come back as they finish, each task id exactly once.

    A task whose actor is lost or hangs goes back to the front of the queue, up to ``runtime.max_attempts`` tries. The
    actors belong to the process that made the pool and end with it. Not safe to use from two threads at once.

    Args:
        workers: makes the worker of a name, inside each actor; a ``functools.partial`` of a module's function. Or a
            source of other actors than :class:`RolloutActors`.
        section: number of actors, their reservations, time limits.
        on_status: told what a waiting person should know: actors lost, waiting for GPUs, warnings of workers.

    Raises:
        BadInputError: if the machine cannot hold ``runtime.min_workers`` actors.

    Example::

        with connect(section):
            pool = RayPool(partial(make_worker, config), section, print)
            pool.submit(task, snapshot)
            (result,) = pool.collect()
    """

    def __init__(
        self,
        workers: WorkerFactory | ActorSource,
        section: RuntimeConfig,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        self._ledger = Ledger(section.max_attempts)
        source = RolloutActors(workers, section) if callable(workers) else workers
        self._fleet = Fleet(source, section, on_status or (lambda line: None))
        self._metrics = PoolMetrics(section.gpus_per_worker)
        self._finished: list[TaskResult] = []
        self._opened = False

    @property
    def capacity(self) -> int:
        """Actors that have a place; before the first are ready, those asked for."""
        fleet = self._fleet
        placed = fleet.count(Phase.LOADING, Phase.READY, Phase.BUSY) if self._opened else len(fleet.slots)
        return max(1, placed)

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not yet collected."""
        return len(self._ledger) + len(self._finished)

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        """Queue a task and hand it to an idle actor if there is one.

        Raises:
            ValueError: if a task with the same id is in flight.
        """
        if any(result.task_id == task.task_id for result in self._finished):
            raise ValueError(f"task {task.task_id} is in flight already")
        self._ledger.add(task, snapshot)
        self._metrics.submitted(snapshot)
        self._dispatch()

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        """Return the results that have finished, waiting until there is at least one.

        Returns an empty sequence when nothing is in flight or ``timeout_s`` has passed.

        Raises:
            RecacheError: that a worker met and that concerns the whole run, for example a full disk.
            RunFailedError: if too few actors start in time, or all of them keep failing.
        """
        deadline = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        while not self._finished and len(self._ledger):
            left = deadline - time.monotonic()
            self._step(max(0.0, min(_TICK_S, left)))
            if left <= 0:
                break
        results, self._finished = self._finished, []
        return results

    def close(self) -> None:
        """End the actors; what was in flight is dropped. Safe to call twice."""
        self._fleet.end()
        self._ledger.clear()
        self._finished.clear()

    def _step(self, timeout_s: float) -> None:
        self._fleet.replace_lost()
        self._dispatch()
        for event in self._fleet.wait(timeout_s):
            if isinstance(event, Answered):
                self._settle(event.item, event.outcome)
                continue
            self._metrics.lost()
            if event.item is not None:
                failure = self._ledger.give_back(event.item, event.reason, worker=event.worker)
                if failure is not None:
                    self._finish(failure)
        self._fleet.check_startup()
        self._dispatch()
        phases = {phase.name.lower(): self._fleet.count(phase) for phase in Phase}
        self._metrics.state(self._ledger.waiting, self._ledger.oldest_wait_s, phases)

    def _finish(self, result: TaskResult) -> None:
        self._finished.append(result)
        self._metrics.finished(result)

    def _dispatch(self) -> None:
        if not self._fleet.open:
            return
        self._opened = True
        while (slot := self._fleet.ready()) is not None:
            item = self._ledger.take()
            if item is None:
                return
            self._fleet.assign(slot, item)

    def _settle(self, item: WorkItem, outcome: Outcome) -> None:
        self._ledger.finish(item)
        if outcome.error is None:
            self._finish(outcome.value)
            return
        error = outcome.error.exception()
        if error is not None:
            raise error
        self._finish(RolloutFailure(item.task.task_id, reason=outcome.error.message))
