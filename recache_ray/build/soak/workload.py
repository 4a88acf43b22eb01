"""The training that ``bench faults`` damages: real learner, loop, checkpoints and pool; only the pictures are left out.

Shapes: T steps.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from recache_ray.config.learning import LearningConfig
from recache_ray.errors import BadInputError
from recache_ray.learning.plan import TaskPlan
from recache_ray.rollouts.sampling import ScheduleSampler
from recache_ray.schedules import Schedule
from recache_ray.types import (
    BatchReport,
    BatchTask,
    GenerationRequest,
    MechanismSpec,
    PolicySnapshot,
    Prompt,
    RewardBreakdown,
    Rollout,
    RolloutGroup,
    RolloutTask,
    Split,
    Task,
    TaskResult,
)

NUM_STEPS = 10
BUDGETS = (2, 3, 4)
TASKS_PER_UPDATE = 4
_EXECUTED = "executed.log"
_TRAIN, _VALIDATION = 16, 2


@dataclass(frozen=True, slots=True)
class Workload:
    """A training of simulated tasks, the same one whoever runs it.

    Attributes:
        folder: of the run: checkpoints, metrics, policy, records.
        updates: policy updates.
        task_s: seconds every task takes at least.
        seed: of everything drawn.
    """

    folder: str
    updates: int
    task_s: float
    seed: int

    @property
    def tasks(self) -> int:
        """Tasks of the policy gradient, in all updates."""
        return self.updates * TASKS_PER_UPDATE

    @property
    def learning(self) -> LearningConfig:
        """Synchronous, with a checkpoint at every update."""
        return LearningConfig(
            budgets=f"{BUDGETS[0]}..{BUDGETS[-1]}",
            siblings=4,
            tasks_per_update=TASKS_PER_UPDATE,
            num_updates=self.updates,
            polish_evaluations=24,
        )

    @property
    def validation(self) -> tuple[GenerationRequest, ...]:
        return tuple(_request(index) for index in range(_TRAIN, _TRAIN + _VALIDATION))

    def plan(self) -> TaskPlan:
        """The order of the work."""
        learning = self.learning
        return TaskPlan(
            requests=[_request(index) for index in range(_TRAIN)],
            mechanism=MechanismSpec("reuse"),
            budgets=BUDGETS,
            siblings=learning.siblings,
            tasks_per_update=learning.tasks_per_update,
            budgets_per_task=1,
            seed=self.seed,
        )

    def executed(self) -> int:
        """Tasks that workers have begun, those among them that died with their worker."""
        path = Path(self.folder) / _EXECUTED
        return path.read_bytes().count(b"\n") if path.exists() else 0


def make_worker(workload: Workload, name: str) -> SimulatedWorker:
    """The factory that pools are given, as ``functools.partial(make_worker, workload)``."""
    return SimulatedWorker(Path(workload.folder) / _EXECUTED, workload.task_s, name)


class SimulatedWorker:
    """Samples schedules from the policy as a real worker does, and takes a while to return a reward in closed form.

    The error of a schedule is the sum of its gaps to the power 1.5, weighted by where they begin and by the prompt.
    """

    def __init__(self, record: Path, task_s: float, name: str) -> None:
        self._record, self._task_s, self._name = record, task_s, name
        self._sampler = ScheduleSampler()

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        """Run a rollout task.

        Raises:
            BadInputError: for a task of another kind, or one that samples and has no snapshot.
        """
        if isinstance(task, BatchTask):
            return BatchReport(task.task_id, tuple(self._roll_out(part, None) for part in task.parts), self._name)
        if not isinstance(task, RolloutTask) or (snapshot is None and not task.schedules):
            raise BadInputError(f"task {task.task_id}: only rollouts are simulated; give schedules or a snapshot")
        return self._roll_out(task, snapshot)

    def _roll_out(self, task: RolloutTask, snapshot: PolicySnapshot | None) -> RolloutGroup:
        descriptor = os.open(self._record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, f"{task.task_id}\n".encode())
        os.close(descriptor)
        time.sleep(self._task_s)
        schedules, log_probs = list(task.schedules), [0.0] * len(task.schedules)
        if not schedules and snapshot is not None:
            schedules, log_probs = self._sampler.sample(snapshot, task.budgets, task.sampling_seed)
        return RolloutGroup(
            task_id=task.task_id,
            request=task.request,
            policy_version=task.policy_version,
            rollouts=tuple(
                Rollout(schedule, log_prob, simulated_reward(task.request, schedule), memoised=schedule in task.known)
                for schedule, log_prob in zip(schedules, log_probs, strict=True)
            ),
            forwards_requested=sum(schedule.budget for schedule in schedules),
            forwards_executed=len({s.prefix(step) for s in schedules for step in s.compute_steps}),
            seconds=self._task_s,
            worker=self._name,
        )


def simulated_reward(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    """Minus the simulated error; a function of its arguments alone."""
    ends = itertools.pairwise((*schedule.compute_steps, schedule.num_steps))
    error = sum((j - i) ** 1.5 / (1 + (i * (request.prompt.index + 3)) % 7) for i, j in ends)
    return RewardBreakdown(-error, {"lpips": error})


def _request(index: int) -> GenerationRequest:
    split: Split = "train" if index < _TRAIN else "validation"
    return GenerationRequest(Prompt(index, f"prompt {index}", split), noise_seed=index)
