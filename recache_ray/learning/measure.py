"""Runs given schedules through the pool, several in one task so that they share pipeline calls and prefixes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import (
    BatchReport,
    BatchTask,
    GenerationRequest,
    MechanismSpec,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
)

# Fixed, not derived from the pool: which schedules run in one batch may show in the last bits of a reward.
SCHEDULES_PER_PART = 24
PAIRS_PER_TASK = 8

Wanted = tuple[GenerationRequest, Schedule]
_Work = RolloutTask | BatchTask


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
    tasks = [_task(next(task_ids), mechanism, pairs) for pairs in _shared_out(wanted)]
    results = _run(pool, tasks, check_stop)
    singles = [
        _task(next(task_ids), mechanism, [pair])
        for task in tasks
        if len(_pairs(task)) > 1 and isinstance(results[task.task_id], RolloutFailure)
        for pair in _pairs(task)
    ]
    results |= _run(pool, singles, check_stop)
    groups = [group for task in (*tasks, *singles) for group in _groups(results[task.task_id])]
    failures = [
        result
        for task in (*tasks, *singles)
        if len(_pairs(task)) == 1 and isinstance(result := results[task.task_id], RolloutFailure)
    ]
    return groups, failures


def _shared_out(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """The pairs of each task: about ``PAIRS_PER_TASK``, those of one request together and in lexicographic order.

    The number of tasks is even, since workers are, and a round is over when its last task is.
    """
    ordered = sorted(set(wanted), key=lambda pair: (pair[0].prompt.index, pair[0].noise_seed, pair[1]))
    tasks = max(1, round(len(ordered) / (2 * PAIRS_PER_TASK))) * 2
    full = -(-len(ordered) // tasks)
    shares: list[list[Wanted]] = []
    for _, pairs in itertools.groupby(ordered, key=lambda pair: pair[0]):
        of_request = list(pairs)
        for start in range(0, len(of_request), SCHEDULES_PER_PART):
            part = of_request[start : start + SCHEDULES_PER_PART]
            if shares and len(shares[-1]) + len(part) <= full:
                shares[-1] += part
            else:
                shares.append(part)
    return shares


def _task(task_id: int, mechanism: MechanismSpec, pairs: Sequence[Wanted]) -> _Work:
    by_request: dict[GenerationRequest, list[Schedule]] = {}
    for request, schedule in pairs:
        by_request.setdefault(request, []).append(schedule)
    parts = [
        RolloutTask(task_id, request, mechanism, schedules=tuple(schedules))
        for request, schedules in by_request.items()
    ]
    return parts[0] if len(parts) == 1 else BatchTask(task_id, tuple(parts))


def _pairs(task: _Work) -> list[Wanted]:
    parts = task.parts if isinstance(task, BatchTask) else (task,)
    return [(part.request, schedule) for part in parts for schedule in part.schedules]


def _groups(result: RolloutGroup | BatchReport | RolloutFailure) -> tuple[RolloutGroup, ...]:
    match result:
        case RolloutGroup():
            return (result,)
        case BatchReport():
            return result.groups
        case RolloutFailure():
            return ()


def _run(
    pool: RolloutPool, tasks: Sequence[_Work], check_stop: Callable[[], None]
) -> dict[int, RolloutGroup | BatchReport | RolloutFailure]:
    waiting = deque(tasks)
    ids = {task.task_id for task in tasks}
    results: dict[int, RolloutGroup | BatchReport | RolloutFailure] = {}
    while len(results) < len(tasks):
        check_stop()
        while waiting and pool.in_flight < 2 * pool.capacity:
            pool.submit(waiting.popleft())
        for result in pool.collect(timeout_s=1.0):
            if isinstance(result, RolloutGroup | BatchReport | RolloutFailure) and result.task_id in ids:
                results[result.task_id] = result
    return results
