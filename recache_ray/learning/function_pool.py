"""A rollout pool around a plain reward function, in this process: no model, no images."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import torch

from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed
from recache_ray.types import (
    BatchReport,
    BatchTask,
    GenerationRequest,
    PolicySnapshot,
    RewardBreakdown,
    Rollout,
    RolloutGroup,
    RolloutTask,
    Task,
    TaskResult,
)

RewardFunction = Callable[[GenerationRequest, Schedule], RewardBreakdown]


class FunctionPool:
    """Runs rollout tasks by calling ``reward`` once per distinct schedule that the task does not know yet."""

    def __init__(self, reward: RewardFunction) -> None:
        self._reward = reward
        self._queue: deque[tuple[RolloutTask | BatchTask, PolicySnapshot | None]] = deque()

    @property
    def capacity(self) -> int:
        return 1

    @property
    def in_flight(self) -> int:
        return len(self._queue)

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        assert isinstance(task, RolloutTask | BatchTask), "there is no model here to make references with"
        self._queue.append((task, snapshot))

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        if not self._queue:
            return ()
        task, snapshot = self._queue.popleft()
        if isinstance(task, BatchTask):
            return (run_parts(task, self._reward),)
        return (run_rollout(task, snapshot, self._reward),)

    def close(self) -> None:
        self._queue.clear()


def run_parts(task: BatchTask, reward: RewardFunction) -> BatchReport:
    """Reward the schedules of every part."""
    groups = tuple(run_rollout(part, None, reward) for part in task.parts)
    return BatchReport(task.task_id, groups, worker="inline")


def run_rollout(task: RolloutTask, snapshot: PolicySnapshot | None, reward: RewardFunction) -> RolloutGroup:
    """Sample the task's schedules (unless given) and reward them, known ones from the task itself."""
    started = time.perf_counter()
    schedules, log_probs = list(task.schedules), [0.0] * len(task.schedules)
    if task.budgets:
        assert snapshot is not None, "a task that samples travels with a snapshot"
        schedules, log_probs = _sample(task, snapshot)
    rewards = dict(task.known)
    for schedule in schedules:
        if schedule not in rewards:
            rewards[schedule] = reward(task.request, schedule)
    prefixes = {schedule.compute_steps[:length] for schedule in schedules for length in range(1, schedule.budget + 1)}
    return RolloutGroup(
        task_id=task.task_id,
        request=task.request,
        policy_version=task.policy_version,
        rollouts=tuple(
            Rollout(schedule, log_prob, rewards[schedule], memoised=schedule in task.known)
            for schedule, log_prob in zip(schedules, log_probs, strict=True)
        ),
        forwards_requested=sum(schedule.budget for schedule in schedules),
        forwards_executed=len(prefixes),
        seconds=time.perf_counter() - started,
        worker="inline",
    )


def _sample(task: RolloutTask, snapshot: PolicySnapshot) -> tuple[list[Schedule], list[float]]:
    generators = [
        torch.Generator().manual_seed(derive_seed(task.sampling_seed, sibling)) for sibling in range(len(task.budgets))
    ]
    with torch.no_grad():
        batch = BudgetPolicy.from_snapshot(snapshot).distributions(sorted(set(task.budgets)))
        schedules = batch.sample(task.budgets, generators)
        return schedules, batch.log_prob(schedules).tolist()
