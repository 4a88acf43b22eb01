"""A rollout pool without a model: it samples and scores for real, and misbehaves on demand."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from recache_ray.learning.function_pool import RewardFunction, run_parts, run_rollout
from recache_ray.types import BatchTask, PolicySnapshot, RolloutFailure, RolloutGroup, RolloutTask, Task, TaskResult


class Killed(BaseException):
    """Stands for SIGKILL: derives from BaseException so that no handler of errors can survive it."""


class FakePool:
    """Completes tasks in a random order of its own, unlike any queue.

    Args:
        reward: the reward of a (request, schedule) pair.
        capacity: what :attr:`capacity` says.
        order_seed: of the order of completion.
        failing: task ids that fail, not retryable.
        kill_at: number of the submit or collect call that raises :class:`Killed`.

    Attributes:
        tasks: every rollout task submitted, in order; a batch as its parts.
        evaluated: every (prompt text, noise seed, schedule) scored, in order.
    """

    def __init__(
        self,
        reward: RewardFunction,
        *,
        capacity: int = 3,
        order_seed: int = 0,
        failing: Collection[int] = (),
        kill_at: int | None = None,
    ) -> None:
        self.tasks: list[RolloutTask] = []
        self.evaluated: list[tuple[str, int, object]] = []
        self._reward, self._capacity, self._failing = reward, capacity, frozenset(failing)
        self._order = random.Random(order_seed)
        self._calls, self._kill_at = 0, kill_at
        self._ids: set[int] = set()
        self._queue: list[tuple[RolloutTask | BatchTask, PolicySnapshot | None]] = []

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def in_flight(self) -> int:
        return len(self._queue)

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        self._count_call()
        assert isinstance(task, RolloutTask | BatchTask)
        parts = task.parts if isinstance(task, BatchTask) else (task,)
        assert snapshot is None or all(snapshot.version == part.policy_version for part in parts)
        assert task.task_id not in self._ids, f"task {task.task_id} submitted twice"
        self._ids.add(task.task_id)
        self.tasks += parts
        self._queue.append((task, snapshot))

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        self._count_call()
        if not self._queue:
            return ()
        task, snapshot = self._queue.pop(self._order.randrange(len(self._queue)))
        if task.task_id in self._failing:
            return (RolloutFailure(task.task_id, reason="fake failure", worker="fake"),)
        if isinstance(task, BatchTask):
            report = run_parts(task, self._reward)
            for group in report.groups:
                self._note(group)
            return (report,)
        group = run_rollout(task, snapshot, self._reward)
        self._note(group)
        return (group,)

    def close(self) -> None:
        self._queue.clear()

    def _note(self, group: RolloutGroup) -> None:
        new = dict.fromkeys(rollout.schedule for rollout in group.rollouts if not rollout.memoised)
        self.evaluated += [(group.request.prompt.text, group.request.noise_seed, schedule) for schedule in new]

    def _count_call(self) -> None:
        self._calls += 1
        if self._calls == self._kill_at:
            raise Killed
