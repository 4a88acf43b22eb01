"""Simulated annealing followed by hill climbing, a budget at a time, as in BudCache (arXiv 2606.13496) for FLUX.

The published search runs on one prompt with the squared error of the final latent as loss. Here the loss is minus any
black-box reward; with a reward in the log domain a temperature is a relative change of the error.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from random import Random

from recache_ray.baselines.check_budget import check_budget
from recache_ray.baselines.search import BlackBox, Evaluations, EvaluationsSpent, Search, SearchResult, Told, drive
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import num_schedules
from recache_ray.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class AnnealingSettings:
    """The constants of the published search for FLUX.

    Attributes:
        iterations: proposals of one annealing.
        hottest, coldest: temperatures at its ends, geometric between them.
        swap_two: probability of moving two computed steps at once.
        near: probability that a moved step stays within ``radius``.
        rounds: most rounds of steepest descent after an annealing.
        jumps: random far moves per computed step in each round.
    """

    iterations: int = 200
    hottest: float = 0.05
    coldest: float = 1e-5
    swap_two: float = 0.1
    near: float = 0.7
    radius: int = 3
    rounds: int = 20
    jumps: int = 2


PUBLISHED = AnnealingSettings()


Asking = Generator[tuple[Schedule, ...], Told, Schedule]
"""A stage of the search: what to evaluate, its values, the schedule the stage ends at."""


def annealing_search(
    reward: BlackBox,
    num_steps: int,
    budget: int,
    *,
    evaluations: int,
    seed: int,
    settings: AnnealingSettings = PUBLISHED,
) -> SearchResult:
    """Run :func:`annealing` on a function.

    Raises:
        BadInputError: if an argument is out of range or a reward is not finite.
    """
    return drive(annealing(num_steps, budget, evaluations=evaluations, seed=seed, settings=settings), reward)


def annealing(
    num_steps: int, budget: int, *, evaluations: int, seed: int, settings: AnnealingSettings = PUBLISHED
) -> Search:
    """Anneal from a random schedule, then climb from where annealing ended; the best schedule ever seen is returned.

    Steps 0 .. max(1, k // 4) - 1 are always computed. Half of the evaluations bound the cooling where the published
    iterations are more than that, so that a short search cools down too. A search that ends early starts again from
    another random schedule, since the comparison is at equal evaluations. Annealing asks for one schedule at a time,
    a round of descent for all neighbours at once.

    Raises:
        BadInputError: once started, if an argument is out of range or a value is not finite.
    """
    check_budget(num_steps, budget)
    values = Evaluations(evaluations)
    generator = Random(derive_seed("baseline", "annealing", num_steps, budget, seed))
    forced = max(1, budget // 4)
    within_reach = min(evaluations, num_schedules(num_steps - forced + 1, budget - forced + 1))
    iterations = max(1, min(settings.iterations, evaluations // 2))
    try:
        while True:
            before = len(values)
            steps = generator.sample(range(forced, num_steps), budget - forced)
            current = Schedule.from_steps(num_steps, (*range(forced), *steps))
            current = yield from _anneal(values, current, forced, iterations, settings, generator)
            yield from _climb(values, current, forced, settings, generator)
            if len(values) >= within_reach or len(values) == before:
                break
    except EvaluationsSpent:
        pass
    return values.result()


def _anneal(
    values: Evaluations,
    current: Schedule,
    forced: int,
    iterations: int,
    settings: AnnealingSettings,
    generator: Random,
) -> Asking:
    """Metropolis acceptance under a geometric temperature; returns the state it ended in."""
    loss = -(yield from values.of((current,)))[current]
    for iteration in range(iterations):
        proposal = current
        for _ in range(2 if generator.random() < settings.swap_two else 1):
            proposal = _moved(proposal, forced, settings, generator)
        temperature = settings.hottest * (settings.coldest / settings.hottest) ** (iteration / iterations)
        proposed = -(yield from values.of((proposal,)))[proposal]
        if proposed < loss or generator.random() < math.exp((loss - proposed) / temperature):
            current, loss = proposal, proposed
    return current


def _climb(
    values: Evaluations, current: Schedule, forced: int, settings: AnnealingSettings, generator: Random
) -> Asking:
    """Steepest descent over every near relocation and a few random ones, until nothing improves."""
    for _ in range(settings.rounds):
        around = yield from values.of((current, *_neighbours(current, forced, settings, generator)))
        best = max(around, key=around.__getitem__)
        if around[best] <= around[current]:
            return current
        current = best
    return current


def _neighbours(schedule: Schedule, forced: int, settings: AnnealingSettings, generator: Random) -> Iterator[Schedule]:
    free = [step for step in range(forced, schedule.num_steps) if not schedule.computes(step)]
    for step in schedule.compute_steps[forced:]:
        for target in free:
            if abs(target - step) <= settings.radius:
                yield _exchanged(schedule, step, target)
        for target in generator.sample(free, min(settings.jumps, len(free))):
            yield _exchanged(schedule, step, target)


def _moved(schedule: Schedule, forced: int, settings: AnnealingSettings, generator: Random) -> Schedule:
    """One movable computed step onto a cached one; the schedule itself where nothing can move."""
    free = [step for step in range(forced, schedule.num_steps) if not schedule.computes(step)]
    movable = schedule.compute_steps[forced:]
    if not free or not movable:
        return schedule
    step = generator.choice(movable)
    near = [target for target in free if abs(target - step) <= settings.radius]
    targets = near if near and generator.random() < settings.near else free
    return _exchanged(schedule, step, generator.choice(targets))


def _exchanged(schedule: Schedule, old: int, new: int) -> Schedule:
    return Schedule.from_steps(schedule.num_steps, (set(schedule.compute_steps) - {old}) | {new})
