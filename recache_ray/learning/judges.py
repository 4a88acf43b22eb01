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
    """Who judges, in two circles.

    Attributes:
        search: those that a search measures its schedules on.
        everyone: these first, then the further ones on whom its outcome is confirmed, in no particular order.
    """

    search: Judges
    everyone: Judges

    @classmethod
    def evenly(cls, requests: Sequence[GenerationRequest]) -> Jury:
        """All requests in both circles: nobody is left to confirm."""
        judges = Judges.evenly(requests)
        return cls(judges, judges)

    @property
    def further(self) -> range:
        """Numbers, among everyone, of those that only confirm."""
        return range(len(self.search.requests), len(self.everyone.requests))


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
    """Draw ``num`` requests for the search and up to ``num_further`` more, hard ones more often.

    Everyone is drawn first and those of the search among them, so that either circle has weights of its own which make
    its mean an estimate of the mean over all requests.

    Args:
        requests: P requests.
        rewards: of each screening schedule, one per request [P].
        num: how many to draw for the search, below P.
        num_further: how many more; as many as there are, if fewer.
        seed: of the drawing.
    """
    generator = random.Random(derive_seed("judges", seed))
    difficulty_P = _difficulties(list(rewards.values()))
    size = min(len(requests), num + num_further)
    chance_P = _inclusion(difficulty_P, size)
    drawn = _systematic(chance_P, size, generator)
    # what is left of a chance proportional to difficulty after the first drawing
    within = _inclusion([difficulty_P[index] / chance_P[index] for index in drawn], num)
    chosen = _systematic(within, num, generator)
    further = sorted(set(range(size)) - set(chosen))
    generator.shuffle(further)
    return Jury(
        _judges(requests, [drawn[place] for place in chosen], [chance_P[drawn[p]] * within[p] for p in chosen]),
        _judges(requests, [drawn[p] for p in (*chosen, *further)], [chance_P[drawn[p]] for p in (*chosen, *further)]),
    )


def _judges(requests: Sequence[GenerationRequest], drawn: Sequence[int], chances: Sequence[float]) -> Judges:
    total = sum(1.0 / chance for chance in chances)
    return Judges(tuple(requests[index] for index in drawn), tuple(1.0 / chance / total for chance in chances))


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
