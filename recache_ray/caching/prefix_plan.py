"""Which siblings run at each step: those whose computed steps so far are equal share one row.

Sizes: M siblings, T steps, U distinct prefixes at a step (U <= M).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

Prefix = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PrefixRow:
    """One distinct prefix at one step.

    Attributes:
        prefix: computed steps so far, this one included if it is computed.
        sibling: the first sibling with this prefix; its row stands for all of them.
        members: how many siblings have it.
        cached_later: whether any of its siblings still has a cached step ahead, so that history is worth keeping.
    """

    prefix: Prefix
    sibling: int
    members: int
    cached_later: bool


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one transformer call does.

    Attributes:
        computing: distinct prefixes that end in this step.
        predicting: distinct prefixes for which it is cached.
        source: for each sibling, its prefix's place in ``computing + predicting``.
    """

    computing: tuple[PrefixRow, ...]
    predicting: tuple[PrefixRow, ...]
    source: tuple[int, ...]


def plan_steps(schedules: Sequence[Schedule]) -> tuple[StepPlan, ...]:
    """The plan of every step for these siblings.

    Raises:
        BadInputError: if there are none, or their T differ.
    """
    if not schedules:
        raise BadInputError("schedules: none given; pass at least one")
    lengths = {schedule.num_steps for schedule in schedules}
    if len(lengths) > 1:
        raise BadInputError(f"schedules of T = {sorted(lengths)}: siblings must have the same num_steps")
    last_cached = [max((step for step in range(s.num_steps) if not s.computes(step)), default=-1) for s in schedules]
    return tuple(_plan_step(schedules, last_cached, step) for step in range(lengths.pop()))


def _plan_step(schedules: Sequence[Schedule], last_cached: Sequence[int], step: int) -> StepPlan:
    members: dict[Prefix, list[int]] = {}
    for sibling, schedule in enumerate(schedules):
        members.setdefault(schedule.prefix(step), []).append(sibling)
    rows = {
        prefix: PrefixRow(prefix, siblings[0], len(siblings), max(last_cached[sibling] for sibling in siblings) > step)
        for prefix, siblings in members.items()
    }
    computing = tuple(row for prefix, row in rows.items() if prefix[-1] == step)
    predicting = tuple(row for prefix, row in rows.items() if prefix[-1] != step)
    place = {row.prefix: index for index, row in enumerate(computing + predicting)}
    source = [0] * len(schedules)
    for prefix, siblings in members.items():
        for sibling in siblings:
            source[sibling] = place[prefix]
    return StepPlan(computing, predicting, tuple(source))
