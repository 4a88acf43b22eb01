"""Where the local search looks next: small changes of good schedules and two of them joined, also across budgets."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence

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


def crossovers(parents: Sequence[Schedule], budget: int) -> list[Schedule]:
    """Every schedule of ``budget`` steps that begins as one of the parents and from some step on ends as another.

    Errors add up segment by segment, so a good beginning and a good end tend to stay good together. The parents may be
    of other budgets; what is a parent itself is not returned.
    """
    found: set[tuple[int, ...]] = set()
    for first, second in itertools.permutations([parent.compute_steps for parent in parents], 2):
        for begun in range(max(1, budget - len(second)), min(budget, len(first)) + 1):
            begin, left = first[:begun], first[begun:]
            kept = len(second) - (budget - begun)
            dropped, end = second[:kept], second[kept:]
            # a step to change over at lies between what is taken and what is left of either
            if max(begin[-1:] + dropped[-1:]) < min(left[:1] + end[:1], default=0):
                found.add(begin + end)
    found -= {parent.compute_steps for parent in parents}
    return [Schedule(parents[0].num_steps, steps) for steps in sorted(found)]


def _exchanged(schedule: Schedule, old: int, new: int) -> Schedule:
    return Schedule.from_steps(schedule.num_steps, (set(schedule.compute_steps) - {old}) | {new})


def evenly_spaced(num_steps: int, budget: int) -> Schedule:
    """Computed steps floor(m T / k), m = 0..k-1."""
    return Schedule(num_steps, tuple(num_steps * index // budget for index in range(budget)))
