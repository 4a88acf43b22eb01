"""A predicted cost steers the search where it holds, and is not believed where it does not."""

import math
import random
from statistics import fmean

import torch

from recache_ray.learning import moves
from recache_ray.learning.polish import LocalSearch
from recache_ray.learning.prior import PredictedCost, Prior
from recache_ray.learning.standing import Standing
from recache_ray.learning.surrogate import fit_surrogate
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule
from recache_ray.testing.synthetic_rewards import SegmentReward
from recache_ray.types import GenerationRequest, Prompt

NUM_STEPS, BUDGET = 14, 5
REWARD = SegmentReward(NUM_STEPS)
REQUEST = GenerationRequest(Prompt(0, ""), 0)
EVERY = list(every_schedule(NUM_STEPS, BUDGET))
STANDS = {schedule: -math.log(-REWARD(REQUEST, schedule).reward) for schedule in EVERY}


def roughly(schedule: Schedule) -> float:
    """The cost, off by a factor of its own for every schedule."""
    return math.exp(-STANDS[schedule] + 0.08 * random.Random(str(schedule.compute_steps)).gauss(0, 1)) * 1e-3


def unrelated(schedule: Schedule) -> float:
    return math.exp(random.Random(str(schedule.compute_steps)).gauss(0, 1))


def told(num: int, seed: int) -> list[Standing]:
    return [Standing(schedule, STANDS[schedule], 0.05) for schedule in random.Random(seed).sample(EVERY, num)]


def rank_correlation(num_measured: int, cost: PredictedCost | None) -> float:
    """Of predictions of all schedules that were not measured with how they stand; mean over five draws."""
    found = []
    for seed in range(5):
        standings = told(num_measured, seed)
        known = {standing.schedule for standing in standings}
        unseen = [schedule for schedule in EVERY if schedule not in known]
        predicted, _ = fit_surrogate(standings, None, cost).predict(unseen)
        actual = torch.tensor([STANDS[schedule] for schedule in unseen])
        ranks = torch.stack([predicted.argsort().argsort(), actual.argsort().argsort()]).double()
        found.append(float(torch.corrcoef(ranks)[0, 1]))
    return fmean(found)


def test_with_few_schedules_measured_a_prediction_ranks_the_others_better() -> None:
    assert rank_correlation(6, roughly) > rank_correlation(6, None) + 0.3


def test_a_prediction_that_says_nothing_is_soon_not_believed() -> None:
    assert abs(rank_correlation(60, unrelated) - rank_correlation(60, None)) < 0.02
    assert rank_correlation(60, roughly) > rank_correlation(60, None) + 0.03


def test_only_what_a_prediction_says_within_a_budget_counts() -> None:
    """Its unit, and how budgets compare in it, move nothing."""
    standings = told(20, 0)
    shifted = fit_surrogate(standings, None, lambda schedule: 1e6 * roughly(schedule)).predict(EVERY)
    for mine, other in zip(fit_surrogate(standings, None, roughly).predict(EVERY), shifted, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)


def test_alike_predictions_and_budgets_without_any_are_no_obstacle() -> None:
    standings = told(12, 0)
    constant = fit_surrogate(standings, None, lambda _: 2.0).predict(EVERY)
    for mine, other in zip(constant, fit_surrogate(standings).predict(EVERY), strict=True):
        torch.testing.assert_close(mine, other)
    elsewhere, _ = fit_surrogate(standings, None, lambda s: 1.0 + s.compute_steps[1]).predict(
        [Schedule(NUM_STEPS, (0, 7))]
    )
    assert bool(elsewhere.isfinite().all())


def regret(cost: PredictedCost | None) -> float:
    """How far what a search of 12 evaluations returns stands below the best there is; mean over four seeds."""
    found = []
    for seed in range(4):
        start = moves.evenly_spaced(NUM_STEPS, BUDGET)
        search = LocalSearch({BUDGET: [start]}, (0,), [], 12, seed, Prior(predicted_cost=cost))
        while pairs := search.propose():
            search.observe({pair: REWARD(REQUEST, pair[1]).reward for pair in pairs})
        found.append(max(STANDS.values()) - STANDS[search.best()[BUDGET]])
    return fmean(found)


def test_a_search_with_a_prediction_needs_fewer_evaluations() -> None:
    assert regret(roughly) < 0.3 * regret(None)
