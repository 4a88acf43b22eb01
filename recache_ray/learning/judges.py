"""Which validation requests schedules are judged on, and how much each counts.

The mean of LPIPS over prompts is made by a few of them, and those are hard for every schedule. So many prompts are
screened with a few schedules, and those judged on are drawn with probability proportional to the error found
there; weighted by the inverse of that probability, their mean stays an estimate of the mean over all prompts, of far
smaller variance than that of as many prompts drawn evenly (importance sampling, Horvitz and Thompson 1952).

Shapes: P requests screened, S screening schedules.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median, pstdev

from recache_ray.learning.log_domain import are_costs
from recache_ray.learning.moves import evenly_spaced
from recache_ray.learning.standing import CAP
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed
from recache_ray.types import GenerationRequest

# Least difficulty of a prompt, as a share of the mean: one that looked easy may still turn out to be hard.
FLOOR = 0.3


@dataclass(frozen=True)
class Judges:
    """Requests with their shares in the mean, which sum to one."""

    requests: tuple[GenerationRequest, ...]
    weights: tuple[float, ...]

    @classmethod
    def evenly(cls, requests: Sequence[GenerationRequest]) -> Judges:
        """All of them, each counting the same."""
        return cls(tuple(requests), (1.0 / len(requests),) * len(requests))


@dataclass(frozen=True)
class Jury:
    """Who judges, in two circles that have nobody in common.

    Attributes:
        search: those that a search measures its schedules on.
        confirming: those on whom its outcome is confirmed; may be nobody.
    """

    search: Judges
    confirming: Judges

    @classmethod
    def evenly(cls, requests: Sequence[GenerationRequest]) -> Jury:
        """All requests search: nobody is left to confirm."""
        return cls(Judges.evenly(requests), Judges((), ()))

    @property
    def reporting(self) -> Judges:
        """Whose mean is reported: of those that confirm, since what a search returns suits those it was searched on."""
        return self.confirming if self.confirming.requests else self.search


def screening_schedules(num_steps: int, budgets: Sequence[int]) -> tuple[Schedule, ...]:
    """Evenly spaced schedules at the lowest and the highest budget and at the one nearest to their geometric mean.

    Which prompts make the mean changes with the budget: a picture that many skipped steps harm a little is not the one
    that tips over when few are skipped.
    """
    lowest, highest = min(budgets), max(budgets)
    between = min(budgets, key=lambda budget: abs(budget - math.sqrt(lowest * highest)))
    chosen = {lowest, between, highest}
    return tuple(evenly_spaced(num_steps, budget) for budget in sorted(chosen))


def draw_jury(
    requests: Sequence[GenerationRequest],
    rewards: Mapping[Schedule, Sequence[float]],
    num: int,
    num_further: int,
    seed: int,
) -> Jury:
    """Draw ``num`` requests for the search and up to ``num_further`` others that confirm, hard ones more often.

    The requests are divided first, into parts of alike difficulty, and each circle is drawn from its own part: so both
    hold hard requests, and the mean over either, weighted, estimates the mean over all. The part of those that confirm
    is half of all, or as much more as they need.

    Args:
        requests: P requests.
        rewards: of each screening schedule, one per request [P].
        num: how many to draw for the search, below P.
        num_further: how many to confirm; as many as are left, if fewer.
        seed: of the drawing.
    """
    generator = random.Random(derive_seed("judges", seed))
    difficulty_P = _difficulties(list(rewards.values()))
    further = min(num_further, len(requests) - num)
    size = min(max(further, len(requests) // 2), len(requests) - num) if further else 0
    apart = set(_alike(difficulty_P, size, generator))
    kept = [index for index in range(len(requests)) if index not in apart]
    return Jury(
        _drawn(requests, kept, difficulty_P, num, generator),
        _drawn(requests, sorted(apart), difficulty_P, further, generator),
    )


def _alike(difficulty_P: Sequence[float], num: int, generator: random.Random) -> list[int]:
    """``num`` of the indices, evenly spaced in the order of difficulty, from a random first one on."""
    ranked = sorted(range(len(difficulty_P)), key=lambda index: (difficulty_P[index], index))
    first = generator.random()
    return [ranked[int((number + first) * len(ranked) / num)] for number in range(num)]


def _drawn(
    requests: Sequence[GenerationRequest],
    among: Sequence[int],
    difficulty_P: Sequence[float],
    num: int,
    generator: random.Random,
) -> Judges:
    """``num`` of the requests ``among`` all, each with a chance proportional to its difficulty, and their weights."""
    if not num:
        return Judges((), ())
    chances = _inclusion([difficulty_P[index] for index in among], num)
    places = _systematic(chances, num, generator)
    total = sum(1.0 / chances[place] for place in places)
    return Judges(
        tuple(requests[among[place]] for place in places),
        tuple(1.0 / chances[place] / total for place in places),
    )


def _difficulties(rewards_SP: Sequence[Sequence[float]]) -> list[float]:
    """How much a request moves the mean: its cost as far as it counts, every schedule alike; or its rewards' spread."""
    if are_costs([reward for rewards_P in rewards_SP for reward in rewards_P]):
        shares_SP = [_shares([-reward for reward in rewards_P]) for rewards_P in rewards_SP]
        raw_P = [fmean(column) for column in zip(*shares_SP, strict=True)]
    else:
        raw_P = [pstdev(column) for column in zip(*rewards_SP, strict=True)]
    least = FLOOR * fmean(raw_P) or 1.0
    return [value + least for value in raw_P]


def _shares(costs_P: Sequence[float]) -> list[float]:
    """Costs in units of their mean, each counting up to :data:`~recache_ray.learning.standing.CAP` times the median."""
    most = CAP * median(costs_P) or math.inf
    capped_P = [min(cost, most) for cost in costs_P]
    mean = fmean(capped_P) or 1.0
    return [cost / mean for cost in capped_P]


def _inclusion(difficulty_P: Sequence[float], num: int) -> list[float]:
    """Probabilities [P] proportional to difficulty, none above one, that sum to ``num``."""
    chance_P = [1.0] * len(difficulty_P)
    if num >= len(difficulty_P):
        return chance_P
    certain: set[int] = set()
    while True:
        rest = sum(value for index, value in enumerate(difficulty_P) if index not in certain)
        for index, value in enumerate(difficulty_P):
            chance_P[index] = 1.0 if index in certain else (num - len(certain)) * value / rest
        above = {index for index, chance in enumerate(chance_P) if chance > 1.0}
        if not above:
            return chance_P
        certain |= above


def _systematic(chance_P: Sequence[float], num: int, generator: random.Random) -> list[int]:
    """``num`` distinct indices, each with its probability: evenly spaced marks on the line of summed chances."""
    order = generator.sample(range(len(chance_P)), len(chance_P))
    ends = list(accumulate(chance_P[index] for index in order))
    first = generator.random()
    drawn: list[int] = []
    position = 0
    for number in range(num):
        mark = (first + number) * ends[-1] / num
        # no chance is above one, so the next mark is past this interval but for rounding
        while ends[position] <= mark and len(order) - position > num - number:
            position += 1
        drawn.append(order[position])
        position += 1
    return sorted(drawn)
