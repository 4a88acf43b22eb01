"""Rewards that are costs with a minus sign: learnt through the logarithm, chosen by their mean."""

import math

import pytest
import torch

from recache_ray.learning.black_box import learn_schedules
from recache_ray.learning.log_domain import are_costs, log_domain
from recache_ray.learning.standing import Standings
from recache_ray.learning.surrogate import fit_surrogate
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule


def test_costs_are_rewards_that_are_never_positive():
    assert are_costs([-1.0, 0.0, -0.5])
    assert not are_costs([-1.0, 0.1]) and not are_costs([0.0, 0.0])
    assert log_domain([-2.0, 3.0]) == [-2.0, 3.0] and log_domain([]) == []


def test_the_logarithm_keeps_order_and_ratios_and_stays_finite_at_zero():
    seen = log_domain([-0.1, -0.2, -0.4, 0.0])
    assert seen[0] - seen[1] == pytest.approx(math.log(2)) == pytest.approx(seen[1] - seen[2])
    assert seen[3] > seen[0] and math.isfinite(seen[3])


def test_the_schedule_of_lowest_mean_cost_is_chosen_not_that_of_the_lowest_geometric_mean():
    tempting, steady = Schedule(6, (0, 2)), Schedule(6, (0, 4))

    def cost(prompt, schedule):
        if schedule == tempting:
            return (0.01, 10.0)[prompt]
        return 2.0 if schedule == steady else 6.0 + schedule.compute_steps[1]

    assert learn_schedules(lambda p, s: -cost(p, s), 6, [2], 2, 30)[2] == steady
    assert learn_schedules(lambda p, s: 1 - math.log(cost(p, s)), 6, [2], 2, 30)[2] == tempting


def test_hard_requests_weigh_more_in_the_prediction():
    """Step 3 helps request 0, step 6 helps request 1, which costs ten times as much."""
    schedules = [s for s in every_schedule(8, 3) if s.computes(3) != s.computes(6)]

    def cost(request, schedule):
        helps = schedule.computes((3, 6)[request])
        return (1.0, 10.0)[request] * (0.5 if helps else 1.0)

    rewards = {schedule: {request: -cost(request, schedule) for request in (0, 1)} for schedule in schedules[::2]}
    standings = Standings(rewards, {0: 0.5, 1: 0.5})
    predicted, _ = fit_surrogate(standings.everyone()).predict(schedules)
    last = torch.tensor([schedule.computes(6) for schedule in schedules])
    assert predicted[last].mean() > predicted[~last].mean() + 0.2
    assert standings.shares[1] > 5 * standings.shares[0]
