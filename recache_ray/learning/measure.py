"""Runs given schedules through the pool, many in one task so that they share prefixes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, RolloutFailure, RolloutGroup, RolloutTask

# Fixed, not derived from the pool: which schedules run in one batch may show in the last bits of a reward.
SCHEDULES_PER_TASK = 24

Wanted = tuple[GenerationRequest, Schedule]


def measure(
    pool: RolloutPool,
    mechanism: MechanismSpec,
    wanted: Sequence[Wanted],
    task_ids: Iterator[int],
    check_stop: Callable[[], None],
) -> tuple[list[RolloutGroup], list[RolloutFailure]]:
    """Evaluate every (request, schedule) pair; groups come in the order of their tasks.

    A failed task of several schedules is run again one schedule at a time, so one bad schedule does not take the
    others down; the failures returned are of single schedules.
    """
    by_request: dict[GenerationRequest, list[Schedule]] = {}
    for request, schedule in sorted(wanted, key=lambda pair: (pair[0].prompt.index, pair[0].noise_seed, pair[1])):
        by_request.setdefault(request, []).append(schedule)
    tasks = [
        RolloutTask(next(task_ids), request, mechanism, schedules=chunk)
        for request, schedules in by_request.items()
        for chunk in _chunks(schedules)
    ]
    results = _run(pool, tasks, check_stop)
    singles = [
        RolloutTask(next(task_ids), task.request, mechanism, schedules=(schedule,))
        for task in tasks
        if len(task.schedules) > 1 and isinstance(results[task.task_id], RolloutFailure)
        for schedule in task.schedules
    ]
    results |= _run(pool, singles, check_stop)
    groups = [result for task in (*tasks, *singles) if isinstance(result := results[task.task_id], RolloutGroup)]
    failures = [
        result
        for task in (*tasks, *singles)
        if len(task.schedules) == 1 and isinstance(result := results[task.task_id], RolloutFailure)
    ]
    return groups, failures


def _run(
    pool: RolloutPool, tasks: Sequence[RolloutTask], check_stop: Callable[[], None]
) -> dict[int, RolloutGroup | RolloutFailure]:
    waiting = deque(tasks)
    ids = {task.task_id for task in tasks}
    results: dict[int, RolloutGroup | RolloutFailure] = {}
    while len(results) < len(tasks):
        check_stop()
        while waiting and pool.in_flight < 2 * pool.capacity:
            pool.submit(waiting.popleft())
        for result in pool.collect(timeout_s=1.0):
            if isinstance(result, RolloutGroup | RolloutFailure) and result.task_id in ids:
                results[result.task_id] = result
    return results


def _chunks(schedules: Sequence[Schedule]) -> Iterator[tuple[Schedule, ...]]:
    iterator = iter(schedules)
    while chunk := tuple(itertools.islice(iterator, SCHEDULES_PER_TASK)):
        yield chunk
