"""Which siblings run at each step: those of one stream whose computed steps so far are equal share one row.

A stream is a prompt and a starting noise. Rollouts are siblings of a single one, a server batches several.

Sizes: M siblings, T steps, U distinct prefixes at a step (U <= M).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

Prefix = tuple[int, ...]
State = tuple[int, Prefix]
"""Stream and computed steps so far: siblings that agree in both are in the same state."""


@dataclass(frozen=True, slots=True)
class PrefixRow:
    """One distinct prefix of one stream at one step.

    Attributes:
        prefix: computed steps so far, this one included if it is computed.
        siblings: those with this prefix; the row of the first stands for all of them.
        cached_later: whether any of its siblings still has a cached step ahead, so that history is worth keeping.
        stream: the stream they belong to.
    """

    prefix: Prefix
    siblings: tuple[int, ...]
    cached_later: bool
    stream: int = 0

    @property
    def sibling(self) -> int:
        """The first sibling with this prefix."""
        return self.siblings[0]

    @property
    def members(self) -> int:
        """How many siblings have it."""
        return len(self.siblings)

    @property
    def state(self) -> State:
        """What its history is kept under."""
        return self.stream, self.prefix

    @property
    def parent(self) -> State:
        """The state before the last computed step."""
        return self.stream, self.prefix[:-1]


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one transformer call does.

    Attributes:
        computing: distinct states whose prefix ends in this step.
        predicting: distinct states for which it is cached.
        source: for each sibling, its prefix's place in ``computing + predicting``.
    """

    computing: tuple[PrefixRow, ...]
    predicting: tuple[PrefixRow, ...]
    source: tuple[int, ...]


def plan_steps(schedules: Sequence[Schedule], streams: Sequence[int] | None = None) -> tuple[StepPlan, ...]:
    """The plan of every step for these siblings.

    Args:
        schedules: one per sibling.
        streams: which stream each belongs to; None is one for all.

    Raises:
        BadInputError: if there are none, their T differ, or there are not as many streams.
    """
    if not schedules:
        raise BadInputError("schedules: none given; pass at least one")
    lengths = {schedule.num_steps for schedule in schedules}
    if len(lengths) > 1:
        raise BadInputError(f"schedules of T = {sorted(lengths)}: siblings must have the same num_steps")
    streams = [0] * len(schedules) if streams is None else streams
    if len(streams) != len(schedules):
        raise BadInputError(f"{len(streams)} streams of {len(schedules)} schedules: must be one for each")
    last_cached = [max((step for step in range(s.num_steps) if not s.computes(step)), default=-1) for s in schedules]
    return tuple(_plan_step(schedules, streams, last_cached, step) for step in range(lengths.pop()))


def _plan_step(
    schedules: Sequence[Schedule], streams: Sequence[int], last_cached: Sequence[int], step: int
) -> StepPlan:
    members: dict[State, list[int]] = {}
    for sibling, (schedule, stream) in enumerate(zip(schedules, streams, strict=True)):
        members.setdefault((stream, schedule.prefix(step)), []).append(sibling)
    rows = [
        PrefixRow(prefix, tuple(siblings), max(last_cached[sibling] for sibling in siblings) > step, stream)
        for (stream, prefix), siblings in members.items()
    ]
    computing = tuple(row for row in rows if row.prefix[-1] == step)
    predicting = tuple(row for row in rows if row.prefix[-1] != step)
    source = [0] * len(schedules)
    for place, row in enumerate(computing + predicting):
        for sibling in row.siblings:
            source[sibling] = place
    return StepPlan(computing, predicting, tuple(source))
