"""Runs the screening schedules on every validation request and draws the judges from what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from recache_ray.learning.failures import FailureLedger
from recache_ray.learning.judges import Jury, draw_jury
from recache_ray.learning.measure import measure
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.progress import ProgressMeter
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, RolloutGroup

# Requests between two reports of progress; a pool with more workers than this waits for none of them for long.
_AT_ONCE = 64


def screen(
    pool: RolloutPool,
    memo: RewardMemo,
    requests: Sequence[GenerationRequest],
    schedules: Sequence[Schedule],
    num: int,
    num_further: int,
    *,
    seed: int,
    version: int,
    failures: FailureLedger,
    task_ids: Iterator[int],
    check_stop: Callable[[], None],
    meter: ProgressMeter,
) -> tuple[Jury, list[RolloutGroup]]:
    """Draw ``num`` of ``requests`` for a search and ``num_further`` more, by how hard they are for ``schedules``.

    Rewards go into the memo at ``version``, and those it knows are not measured again, so that a resumed run draws
    the same. A request on which a schedule failed is never drawn.

    Returns:
        The jury, and what was measured for it.

    Raises:
        RunFailedError: if more tasks fail than ``failures`` allows.
    """
    meter.begin("screen", 0)
    measured: list[RolloutGroup] = []
    for start in range(0, len(requests), _AT_ONCE):
        part = requests[start : start + _AT_ONCE]
        missing = [(request, s) for request in part for s in schedules if memo.get(request, s) is None]
        groups, failed = measure(pool, memo.mechanism, missing, task_ids, check_stop)
        failures.count(len(groups) + len(failed), failed)
        for group in groups:
            memo.record(group, version)
        measured += groups
        meter.count(groups)
        meter.report("screen", start + len(part), len(requests), {})
    usable = [request for request in requests if all(memo.get(request, s) is not None for s in schedules)]
    if len(usable) <= num:
        return Jury.evenly(usable), measured
    rewards = {s: [found.reward for r in usable if (found := memo.get(r, s)) is not None] for s in schedules}
    return draw_jury(usable, rewards, num, num_further, seed), measured
