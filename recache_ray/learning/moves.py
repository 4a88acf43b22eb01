"""Where the local search looks next: small changes of good schedules, within a budget and across budgets."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator

from recache_ray.schedules import Schedule


def relocations(schedule: Schedule, distances: Iterable[int] = (1, 2)) -> Iterator[Schedule]:
    """Move one computed step by one of the distances to either side, onto a cached step."""
    steps = schedule.compute_steps
    for moved, distance, sign in itertools.product(steps[1:], distances, (-1, 1)):
        target = moved + sign * distance
        if 1 <= target < schedule.num_steps and target not in steps:
            yield _exchanged(schedule, moved, target)


def random_jumps(schedule: Schedule, num: int, generator: random.Random) -> Iterator[Schedule]:
    """Move one or two computed steps, each to any cached step."""
    free = [step for step in range(1, schedule.num_steps) if not schedule.computes(step)]
    if not free or schedule.budget < 2:
        return
    for _ in range(num):
        jumped = schedule
        for _ in range(generator.choice((1, 2))):
            target = generator.choice(free)
            if not jumped.computes(target):
                jumped = _exchanged(jumped, generator.choice(jumped.compute_steps[1:]), target)
        if jumped != schedule:
            yield jumped


def additions(schedule: Schedule) -> Iterator[Schedule]:
    """Schedules of the next budget: one more computed step."""
    for step in range(1, schedule.num_steps):
        if not schedule.computes(step):
            yield Schedule.from_steps(schedule.num_steps, (*schedule.compute_steps, step))


def removals(schedule: Schedule) -> Iterator[Schedule]:
    """Schedules of the previous budget: one computed step less."""
    for step in schedule.compute_steps[1:]:
        yield Schedule.from_steps(schedule.num_steps, set(schedule.compute_steps) - {step})


def _exchanged(schedule: Schedule, old: int, new: int) -> Schedule:
    return Schedule.from_steps(schedule.num_steps, (set(schedule.compute_steps) - {old}) | {new})


def evenly_spaced(num_steps: int, budget: int) -> Schedule:
    """Computed steps floor(m T / k), m = 0..k-1."""
    return Schedule(num_steps, tuple(num_steps * index // budget for index in range(budget)))
