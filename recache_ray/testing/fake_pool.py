"""A rollout pool without a model: it samples and scores for real, and misbehaves on demand."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from recache_ray.learning.function_pool import RewardFunction, run_rollout
from recache_ray.types import PolicySnapshot, RolloutFailure, RolloutTask, Task, TaskResult


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
        tasks: every task submitted, in order.
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
        self._queue: list[tuple[RolloutTask, PolicySnapshot | None]] = []

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def in_flight(self) -> int:
        return len(self._queue)

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        self._count_call()
        assert isinstance(task, RolloutTask)
        assert snapshot is None or snapshot.version == task.policy_version
        assert all(task.task_id != other.task_id for other in self.tasks), f"task {task.task_id} submitted twice"
        self.tasks.append(task)
        self._queue.append((task, snapshot))

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        self._count_call()
        if not self._queue:
            return ()
        task, snapshot = self._queue.pop(self._order.randrange(len(self._queue)))
        if task.task_id in self._failing:
            return (RolloutFailure(task.task_id, reason="fake failure", worker="fake"),)
        group = run_rollout(task, snapshot, self._reward)
        new = dict.fromkeys(rollout.schedule for rollout in group.rollouts if not rollout.memoised)
        self.evaluated += [(task.request.prompt.text, task.request.noise_seed, schedule) for schedule in new]
        return (group,)

    def close(self) -> None:
        self._queue.clear()

    def _count_call(self) -> None:
        self._calls += 1
        if self._calls == self._kill_at:
            raise Killed
