"""What shared prefixes are worth: the same rewards from one pipeline call per task and from one per schedule.

Sizes: M siblings of one task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from rich import box
from rich.table import Table

from recache_ray.errors import RunFailedError
from recache_ray.rollouts.guard import Worker
from recache_ray.types import (
    PolicySnapshot,
    ReferenceTask,
    Rollout,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    TaskResult,
)

_SHOWN = ("cpu", "cpu_count", "memory_gib", "gpu", "version/torch")


@dataclass(frozen=True, slots=True)
class RolloutBenchmark:
    """Both ways on the same schedules.

    Attributes:
        tasks: prompts measured.
        rewards: M summed over the tasks, repeats included: both ways deliver all of them.
        distinct_schedules: schedules that differ, summed over the tasks.
        shared_s: seconds of one call per task.
        separate_s: seconds of one call per schedule.
        forwards_requested: transformer forwards of one call per schedule.
        forwards_executed: those of one call per task.
        largest_difference: between two rewards of the same schedule; batches of another size round differently.
        machine: facts about the machine, as :func:`recache_ray.tracking.provenance.provenance` collects them.
    """

    tasks: int
    rewards: int
    distinct_schedules: int
    shared_s: float
    separate_s: float
    forwards_requested: int
    forwards_executed: int
    largest_difference: float
    machine: Mapping[str, str | int]

    @property
    def speed_up(self) -> float:
        """Rewards per second with shared prefixes over those without."""
        return self.separate_s / self.shared_s

    @property
    def executed_share(self) -> float:
        """Forwards executed / requested."""
        return self.forwards_executed / self.forwards_requested

    def to_json(self) -> dict[str, object]:
        """All figures, plain values."""
        return {**asdict(self), "speed_up": self.speed_up, "executed_share": self.executed_share}

    def table(self) -> Table:
        """Both ways side by side, for a terminal."""
        table = Table(box=box.SIMPLE_HEAD, title=f"{self.tasks} prompts, {self.rewards} rewards", title_justify="left")
        table.add_column("rollouts")
        for name in ("rewards/s", "seconds", "forwards"):
            table.add_column(name, justify="right")
        for name, seconds, forwards in (
            ("shared prefixes", self.shared_s, self.forwards_executed),
            ("one pipeline call per schedule", self.separate_s, self.forwards_requested),
        ):
            table.add_row(name, f"{self.rewards / seconds:.2f}", f"{seconds:.1f}", str(forwards))
        table.add_section()
        table.add_row("ratio", f"{self.speed_up:.2f}", "", f"{self.executed_share:.3f}")
        table.caption = (
            f"{self.distinct_schedules} distinct schedules; rewards differ by at most {self.largest_difference:.1e}; "
            + ", ".join(f"{name} {self.machine[name]}" for name in _SHOWN if name in self.machine)
        )
        table.caption_justify = "left"
        return table


def bench_rollout(
    worker: Worker,
    tasks: Sequence[RolloutTask],
    snapshot: PolicySnapshot | None,
    machine: Mapping[str, str | int],
    on_status: Callable[[str], None] | None = None,
) -> RolloutBenchmark:
    """Run every task once whole, and once schedule by schedule through the same worker.

    References are made, and the model is warmed up, before the clock starts; the two ways take turns task by task, so
    that a machine that slows down hurts both.

    Args:
        worker: the configured rollout worker.
        tasks: as training would submit them.
        snapshot: the policy the tasks sample from, if they do.
        machine: recorded with the result.
        on_status: told after each task.

    Raises:
        RunFailedError: if a rollout fails, since the two ways would no longer do the same work.
    """
    if not tasks:
        raise ValueError("no tasks to measure")
    _checked(worker.run(ReferenceTask(0, tuple(task.request for task in tasks))))
    warm_up = _group(worker, replace(tasks[0], task_id=0), snapshot)
    _alone(worker, tasks[0], warm_up.rollouts[0])
    shared_s = separate_s = largest = 0.0
    groups: list[RolloutGroup] = []
    for task in tasks:
        started = time.perf_counter()
        group = _group(worker, task, snapshot)
        turned = time.perf_counter()
        alone = [_alone(worker, task, rollout) for rollout in group.rollouts]
        separate_s += time.perf_counter() - turned
        shared_s += turned - started
        rewards = zip(group.rollouts, alone, strict=True)
        largest = max(largest, *(abs(one.breakdown.reward - other.breakdown.reward) for one, other in rewards))
        groups.append(group)
        if on_status is not None:
            on_status(f"prompt {len(groups)}/{len(tasks)}: {separate_s / shared_s:.2f} times the rewards per second")
    return RolloutBenchmark(
        tasks=len(groups),
        rewards=sum(len(group.rollouts) for group in groups),
        distinct_schedules=sum(len({rollout.schedule for rollout in group.rollouts}) for group in groups),
        shared_s=shared_s,
        separate_s=separate_s,
        forwards_requested=sum(group.forwards_requested for group in groups),
        forwards_executed=sum(group.forwards_executed for group in groups),
        largest_difference=largest,
        machine=dict(machine),
    )


def _alone(worker: Worker, task: RolloutTask, rollout: Rollout) -> Rollout:
    (alone,) = _group(worker, replace(task, budgets=(), schedules=(rollout.schedule,)), None).rollouts
    return alone


def _group(worker: Worker, task: RolloutTask, snapshot: PolicySnapshot | None) -> RolloutGroup:
    result = _checked(worker.run(task, snapshot))
    assert isinstance(result, RolloutGroup)
    return result


def _checked(result: TaskResult) -> TaskResult:
    if isinstance(result, RolloutFailure):
        raise RunFailedError(f"bench rollout: a rollout failed ({result.reason}); both ways must do the same work")
    return result
