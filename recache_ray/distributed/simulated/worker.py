"""What a simulated actor answers, and when. Imports no torch: processes of it start fast and stay small."""

from __future__ import annotations

import itertools
import math
import os
import random
import signal
import time

from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed
from recache_ray.types import PolicySnapshot, RewardBreakdown, Rollout, RolloutGroup, RolloutTask, Task, TaskResult


class SimulatedLife:
    """One life of a rollout actor: tasks take the time the load says, until it is preempted.

    Args:
        load: durations and lifetimes.
        name: of the actor.
        life: how many of this name came before.
        num_steps: T of the schedules it draws.
    """

    def __init__(self, load: SimulatedLoad, name: str, life: int, num_steps: int) -> None:
        self._load, self._name, self._num_steps = load, name, num_steps
        self._ends_at = time.monotonic() + load.lifetime_s(name, life)

    def begin(self, task: Task) -> tuple[RolloutGroup | None, float]:
        """The result of a task and the monotonic time it is due; None where the actor is preempted at that time."""
        assert isinstance(task, RolloutTask), "there is no model here to ask"
        seconds = self._load.duration_s(task.task_id)
        due = time.monotonic() + seconds
        if self._ends_at < due:
            return None, self._ends_at
        return simulated_group(task, self._num_steps, seconds, self._name), due


def simulated_group(task: RolloutTask, num_steps: int, seconds: float, worker: str) -> RolloutGroup:
    """Schedules drawn uniformly, with the log-probability of having done so, and a reward that prefers even spacing.

    A real actor draws from the snapshot. That takes it milliseconds and the learner nothing; what the learner does with
    the group is the same.
    """
    rollouts = []
    for sibling, budget in enumerate(task.budgets):
        generator = random.Random(derive_seed(task.sampling_seed, sibling))
        schedule = Schedule(num_steps, (0, *sorted(generator.sample(range(1, num_steps), budget - 1))))
        known = schedule in task.known
        breakdown = task.known[schedule] if known else _reward(task, schedule)
        rollouts.append(Rollout(schedule, -math.log(math.comb(num_steps - 1, budget - 1)), breakdown, memoised=known))
    steps = {rollout.schedule.compute_steps[:length] for rollout in rollouts for length in _lengths(rollout)}
    return RolloutGroup(
        task_id=task.task_id,
        request=task.request,
        policy_version=task.policy_version,
        rollouts=tuple(rollouts),
        forwards_requested=sum(task.budgets),
        forwards_executed=len(steps),
        seconds=seconds,
        worker=worker,
    )


class SimulatedWorker:
    """The worker of an actor that is a process of its own; a preemption kills the process."""

    def __init__(self, load: SimulatedLoad, name: str, life: int, num_steps: int) -> None:
        self._life = SimulatedLife(load, name, life, num_steps)

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        group, due = self._life.begin(task)
        time.sleep(max(0.0, due - time.monotonic()))
        if group is None:
            os.kill(os.getpid(), signal.SIGKILL)
        assert group is not None
        return group


def make_simulated_worker(load: SimulatedLoad, life: int, num_steps: int, name: str) -> SimulatedWorker:
    """The factory given to an actor: the first of a name is there at once, its successors load for a while."""
    if life:
        time.sleep(load.reload_s)
    return SimulatedWorker(load, name, life, num_steps)


def _reward(task: RolloutTask, schedule: Schedule) -> RewardBreakdown:
    ends = (*schedule.compute_steps, schedule.num_steps)
    uneven = sum(((j - i) / schedule.num_steps) ** 2 for i, j in itertools.pairwise(ends))
    lpips = uneven * (1 + 0.1 * (task.request.prompt.index % 7))
    return RewardBreakdown(-lpips, {"lpips": lpips})


def _lengths(rollout: Rollout) -> range:
    return range(1, rollout.schedule.budget + 1)
