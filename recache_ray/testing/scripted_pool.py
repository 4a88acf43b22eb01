"""A pool that answers tasks from a function instead of a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from recache_ray.schedules import Schedule
from recache_ray.types import (
    BatchReport,
    BatchTask,
    GateSpec,
    GenerationRequest,
    ModelReport,
    PolicySnapshot,
    ProbeTask,
    ReferenceReport,
    ReferenceTask,
    RewardBreakdown,
    Rollout,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    Task,
    TaskResult,
)

Score = Callable[[GenerationRequest, Schedule], RewardBreakdown]
Draw = Callable[[GenerationRequest, Schedule], bytes]
Decide = Callable[[GenerationRequest, GateSpec], Schedule]


class ScriptedPool:
    """Scores given schedules with ``score``; results come back newest first, so nothing may rely on their order.

    Args:
        score: the reward of a (request, schedule) pair.
        draw: PNG bytes of a pair, for tasks that ask for images.
        capacity: what :attr:`capacity` says.
        failing: task ids that fail, with a reason and not retryable.
        decide: the schedule that arises under a gate, for tasks that bring some; each costs a hundredth of a computed
            step per cached one.

    Attributes:
        tasks: every task submitted, in order.
        max_in_flight: the most tasks that were in flight at once.
    """

    def __init__(
        self,
        score: Score,
        *,
        draw: Draw | None = None,
        capacity: int = 2,
        failing: Collection[int] = (),
        decide: Decide | None = None,
    ) -> None:
        self.tasks: list[Task] = []
        self.max_in_flight = 0
        self._score = score
        self._draw = draw
        self._capacity = capacity
        self._failing = frozenset(failing)
        self._decide = decide
        self._queue: list[Task] = []

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def in_flight(self) -> int:
        return len(self._queue)

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        if any(earlier.task_id == task.task_id for earlier in self.tasks):
            raise AssertionError(f"task {task.task_id} submitted twice")
        self.tasks.append(task)
        self._queue.append(task)
        self.max_in_flight = max(self.max_in_flight, len(self._queue))

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        return [self._answer(self._queue.pop())] if self._queue else []

    def close(self) -> None:
        self._queue.clear()

    def _answer(self, task: Task) -> TaskResult:
        if task.task_id in self._failing:
            return RolloutFailure(task.task_id, reason="scripted failure", worker="scripted")
        if isinstance(task, ReferenceTask):
            return ReferenceReport(task.task_id, written=len(task.requests), seconds=0.0, worker="scripted")
        if isinstance(task, ProbeTask):
            return ModelReport(
                task.task_id, {"id": "scripted"}, 1.0, 0.01, computed_s=1.0, cached_s=0.01, worker="scripted"
            )
        if isinstance(task, BatchTask):
            groups = tuple(self._roll_out(part) for part in task.parts)
            return BatchReport(task.task_id, groups, worker="scripted")
        assert isinstance(task, RolloutTask)
        return self._roll_out(task)

    def _roll_out(self, task: RolloutTask) -> RolloutGroup:
        draw = self._draw if task.return_images else None
        schedules = task.schedules
        if task.gates and self._decide is not None:
            schedules = tuple(self._decide(task.request, gate) for gate in task.gates)
        rollouts = tuple(
            Rollout(
                schedule=schedule,
                log_prob=0.0,
                breakdown=self._score(task.request, schedule),
                image_png=draw(task.request, schedule) if draw is not None else None,
                partial_forwards=0.01 * (schedule.num_steps - schedule.budget) if task.gates else 0.0,
            )
            for schedule in schedules
        )
        unique = set(schedules)
        return RolloutGroup(
            task_id=task.task_id,
            request=task.request,
            policy_version=task.policy_version,
            rollouts=rollouts,
            forwards_requested=sum(schedule.budget for schedule in schedules),
            forwards_executed=len({schedule.prefix(step) for schedule in unique for step in schedule.compute_steps}),
            seconds=0.0,
            worker="scripted",
        )
