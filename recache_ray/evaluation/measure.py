"""Runs given schedules on held-out requests through the same pool as the rollouts, each schedule once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from recache_ray.errors import RunFailedError
from recache_ray.evaluation.measured import MeasuredGenerations
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import (
    GenerationRequest,
    MechanismSpec,
    RewardBreakdown,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    Task,
    TaskResult,
)

Methods = Mapping[str, Mapping[int, Sequence[Schedule]]]
"""Name of a way to choose schedules -> budget -> its schedules, several where they are to be averaged."""

OnProgress = Callable[[str, int, int], None]
"""Called with (phase, tasks done, tasks in all); the phases are ``evaluate`` and ``pictures``."""

SCHEDULES_PER_TASK = 64


@dataclass(frozen=True)
class Measurements:
    """Metrics of every (request, schedule) pair of the requests that were measured completely.

    Attributes:
        requests: the requests every schedule was measured on, in the order given.
        breakdowns: reward and metrics per pair.
        num_tasks: how many task ids were used.
        failures: tasks that gave no result; their requests are left out for every method, so comparisons stay paired.
        forwards_requested: transformer forwards one pipeline call per schedule would have taken.
        forwards_executed: those that ran.
    """

    requests: tuple[GenerationRequest, ...]
    breakdowns: Mapping[tuple[GenerationRequest, Schedule], RewardBreakdown]
    num_tasks: int
    failures: tuple[RolloutFailure, ...] = ()
    forwards_requested: int = 0
    forwards_executed: int = 0


def measure(
    pool: RolloutPool,
    methods: Methods,
    requests: Iterable[GenerationRequest],
    mechanism: MechanismSpec,
    *,
    on_progress: OnProgress | None = None,
    first_task_id: int = 0,
    max_failure_share: float = 0.2,
    memory: MeasuredGenerations | None = None,
) -> Measurements:
    """Measure every schedule of ``methods`` on every request, with all metrics; references must be stored already.

    A schedule that several methods choose runs once, and not at all where ``memory`` knows it; ``memory`` is told of
    every result as it comes, so an evaluation that was interrupted goes on where it stopped. Tasks hold up to 64
    schedules of one request in lexicographic order, so that the workers share their common prefixes.

    Raises:
        RunFailedError: if more than ``max_failure_share`` of the tasks failed, or no request was measured completely.
    """
    unique = sorted({schedule for by_budget in methods.values() for group in by_budget.values() for schedule in group})
    asked = tuple(dict.fromkeys(requests))
    known = {request: memory.known(request, mechanism, unique) if memory is not None else {} for request in asked}
    missing = {request: [schedule for schedule in unique if schedule not in known[request]] for request in asked}
    pairs = [
        (request, tuple(schedules[i : i + SCHEDULES_PER_TASK]))
        for request, schedules in missing.items()
        for i in range(0, len(schedules), SCHEDULES_PER_TASK)
    ]
    tasks = [
        RolloutTask(first_task_id + position, request, mechanism, schedules=chunk, all_metrics=True)
        for position, (request, chunk) in enumerate(pairs)
    ]

    def remember(result: TaskResult) -> None:
        if memory is not None and isinstance(result, RolloutGroup):
            memory.add(result, mechanism)

    results = run_tasks(pool, tasks, "evaluate", on_progress, remember)
    if memory is not None:
        memory.save()
    failures = tuple(result for result in results if isinstance(result, RolloutFailure))
    failed = {task.request for task, result in zip(tasks, results, strict=True) if isinstance(result, RolloutFailure)}
    complete = tuple(request for request in asked if request not in failed)
    if tasks and (not complete or len(failures) > max_failure_share * len(tasks)):
        raise RunFailedError(
            f"evaluation: {len(failures)} of {len(tasks)} tasks failed, the first with {failures[0].reason!r}; "
            f"at most {max_failure_share:.0%} may, and one prompt must be complete"
        )
    groups = [result for result in results if isinstance(result, RolloutGroup)]
    found = {(request, schedule): b for request in complete for schedule, b in known[request].items()}
    return Measurements(
        requests=complete,
        breakdowns=found
        | {
            (group.request, rollout.schedule): rollout.breakdown
            for group in groups
            if group.request not in failed
            for rollout in group.rollouts
        },
        num_tasks=len(tasks),
        failures=failures,
        forwards_requested=sum(group.forwards_requested for group in groups),
        forwards_executed=sum(group.forwards_executed for group in groups),
    )


def run_tasks(
    pool: RolloutPool,
    tasks: Sequence[Task],
    phase: str,
    on_progress: OnProgress | None = None,
    on_result: Callable[[TaskResult], None] | None = None,
) -> list[TaskResult]:
    """Keep the pool busy until every task is answered; results in the order of ``tasks``, told of as they come.

    Results of other tasks that were still in flight are dropped.

    Raises:
        RunFailedError: if the pool has nothing left in flight and tasks are unanswered.
    """
    waiting, answered = deque(tasks), dict[int, TaskResult]()
    wanted = {task.task_id for task in tasks}
    while len(answered) < len(wanted):
        while waiting and pool.in_flight < 2 * pool.capacity:
            pool.submit(waiting.popleft())
        for result in pool.collect():
            if result.task_id in wanted:
                answered[result.task_id] = result
                if on_result is not None:
                    on_result(result)
        if on_progress is not None:
            on_progress(phase, len(answered), len(tasks))
        if not waiting and not pool.in_flight and len(answered) < len(wanted):
            raise RunFailedError(f"evaluation: {len(wanted) - len(answered)} tasks were never answered; run it again")
    return [answered[task.task_id] for task in tasks]
