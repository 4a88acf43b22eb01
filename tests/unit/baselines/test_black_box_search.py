"""Annealing, random and exhaustive search on rewards whose best schedule enumeration knows."""

import math
from collections import Counter
from functools import partial
from random import Random

import pytest

from recache_ray.baselines.annealing import PUBLISHED, _moved, annealing_search
from recache_ray.baselines.exhaustive import exhaustive_search
from recache_ray.baselines.random_search import random_search
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule, num_schedules
from recache_ray.testing.synthetic_rewards import SegmentReward

REWARD = SegmentReward(12, seed=5)
SEARCHES = {"annealing": annealing_search, "random": random_search}


class Counting:
    def __init__(self):
        self.calls = Counter()

    def __call__(self, schedule):
        self.calls[schedule] += 1
        return -math.log(REWARD.cost(schedule) + 0.01)


def test_enumeration_counts_match():
    schedules = list(every_schedule(8, 4))
    assert len(schedules) == len(set(schedules)) == num_schedules(8, 4) == 35
    assert list(every_schedule(5, 1)) == [Schedule(5, (0,))]


@pytest.mark.parametrize("budget", [1, 3, 5, 12])
def test_exhaustive_search_finds_the_optimum_of_dynamic_programming(budget):
    reward = Counting()
    found = exhaustive_search(reward, 12, budget)
    assert REWARD.cost(found.schedule) == pytest.approx(REWARD.optimum(budget), rel=1e-12)
    assert found.evaluations == len(reward.calls) == num_schedules(12, budget)


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize(("budget", "evaluations"), [(4, 1), (4, 37), (2, 500), (1, 3), (12, 3)])
def test_evaluations_are_distinct_counted_and_within_the_limit(search, budget, evaluations):
    reward = Counting()
    found = search(reward, 12, budget, evaluations=evaluations, seed=3)
    assert max(reward.calls.values()) == 1
    assert found.evaluations == len(reward.calls) <= evaluations
    assert found.schedule.budget == budget and found.schedule.num_steps == 12
    assert found.reward == max(map(reward, reward.calls))
    assert found == search(Counting(), 12, budget, evaluations=evaluations, seed=3)


def test_annealing_finds_the_optimum_that_random_search_misses():
    ends = {
        name: [REWARD.cost(search(Counting(), 12, 6, evaluations=120, seed=seed).schedule) for seed in range(8)]
        for name, search in SEARCHES.items()
    }
    assert min(ends["annealing"]) == pytest.approx(REWARD.optimum(6), rel=1e-12)
    assert sum(ends["annealing"]) < sum(ends["random"])


def test_annealing_keeps_the_first_quarter_of_the_budget_computed():
    reward = Counting()
    annealing_search(reward, 12, 8, evaluations=200, seed=0)
    assert all(schedule.compute_steps[:2] == (0, 1) for schedule in reward.calls)
    assert any(schedule.compute_steps[2] != 2 for schedule in reward.calls)


def test_a_move_exchanges_one_step_and_is_mostly_near():
    schedule, generator = Schedule(30, (0, 5, 15, 25)), Random(0)
    distances = []
    for _ in range(2000):
        moved = _moved(schedule, 1, PUBLISHED, generator)
        (left,), (joined,) = (
            set(schedule.compute_steps) - set(moved.compute_steps),
            set(moved.compute_steps) - set(schedule.compute_steps),
        )
        distances.append(abs(left - joined))
    # 70% near, and of the rest about 6 of 26 free steps are near by chance
    assert sum(distance <= 3 for distance in distances) / 2000 == pytest.approx(0.7 + 0.3 * 6 / 26, abs=0.04)


@pytest.mark.parametrize("search", [*SEARCHES.values(), None])
def test_bad_input(search):
    run = partial(search, evaluations=5, seed=0) if search else exhaustive_search
    with pytest.raises(BadInputError, match="budget = 13"):
        run(Counting(), 12, 13)
    with pytest.raises(BadInputError, match="must be finite"):
        run(lambda schedule: math.nan, 12, 3)
    if search:
        with pytest.raises(BadInputError, match="evaluations = 0"):
            search(Counting(), 12, 3, evaluations=0, seed=0)
