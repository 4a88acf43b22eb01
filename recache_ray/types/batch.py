"""Rollouts of several requests that a worker runs together."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.types.rollout import RolloutGroup, RolloutTask


@dataclass(frozen=True)
class BatchTask:
    """Given schedules of several requests, in as few pipeline calls as the worker's ``max_batch`` allows.

    A call with one small picture leaves much of a processor idle. Schedules of one request share a call already, as a
    :class:`RolloutTask`; where a request has only one or two, several requests do.

    Attributes:
        parts: rollout tasks with ``schedules``, of one mechanism and different requests, that ask for no further
            metrics and no images.
    """

    task_id: int
    parts: tuple[RolloutTask, ...]


@dataclass(frozen=True)
class BatchReport:
    """A finished :class:`BatchTask`: the group of every part, in order. Their seconds are shares of the batch's."""

    task_id: int
    groups: tuple[RolloutGroup, ...]
    worker: str = ""
