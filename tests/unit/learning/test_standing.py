"""Schedules that were run on different requests can be compared, and the decisive requests come first."""

import math
import random

import pytest

from recache_ray.learning.moves import evenly_spaced, relocations
from recache_ray.learning.polish import LocalSearch, Measurement
from recache_ray.learning.prior import Prior
from recache_ray.learning.standing import CAP, Standings
from recache_ray.schedules import Schedule

T = 12
SCHEDULES = [Schedule(T, (0, step, 10)) for step in range(1, 9)]
REQUESTS = range(12)
EVENLY = dict.fromkeys(REQUESTS, 1 / 12)
HARDNESS = [math.exp(1.7 * random.Random(request).gauss(0, 1)) for request in REQUESTS]


def cost(schedule, request):
    return (1 + schedule.compute_steps[1] / 4) * HARDNESS[request]


def overlapping(number):
    """Four requests of twelve, others for every schedule."""
    return [(3 * number + offset) % 12 for offset in range(4)]


def test_costs_that_are_schedule_times_request_are_told_apart_exactly_though_no_two_ran_on_the_same():
    rewards = {s: {r: -cost(s, r) for r in overlapping(n)} for n, s in enumerate(SCHEDULES)}
    standings = Standings(rewards, EVENLY)
    for other in SCHEDULES[1:]:
        ratio = cost(SCHEDULES[0], 0) / cost(other, 0)
        assert standings.of(other) - standings.of(SCHEDULES[0]) == pytest.approx(math.log(ratio), abs=0.02)
        assert standings.error(other) < 0.05


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("seed", range(5))
def test_completed_schedules_stand_in_the_order_of_their_weighted_means(sign, seed):
    generator = random.Random(seed)
    weights = {request: generator.uniform(0.1, 3.0) for request in REQUESTS}
    rewards = {s: {r: sign * generator.lognormvariate(0, 1) for r in REQUESTS} for s in SCHEDULES}
    standings = Standings(rewards, weights)
    by_mean = sorted(SCHEDULES, key=lambda s: sum(weights[r] * rewards[s][r] for r in REQUESTS))
    assert sorted(SCHEDULES, key=standings.of) == by_mean


def order(standings):
    return sorted(standings.shares, key=lambda request: -standings.shares[request])


def test_the_requests_that_make_the_mean_have_the_largest_shares():
    rewards = {s: {r: -cost(s, r) for r in REQUESTS} for s in SCHEDULES}
    hardest = sorted(REQUESTS, key=lambda r: -HARDNESS[r])
    assert order(Standings(rewards, EVENLY)) == hardest
    light = {**EVENLY, hardest[0]: 1e-9}
    assert order(Standings(rewards, light)) == [*hardest[1:], hardest[0]]


def test_rewards_that_are_no_costs_and_those_not_measured_yet_count_by_weight():
    weights = {0: 0.2, 1: 0.5, 2: 0.3}
    rewards = {SCHEDULES[0]: {0: 5.0, 1: 1.0, 2: -3.0}}
    assert Standings(rewards, weights).shares == pytest.approx(weights)
    assert Standings({}, weights).shares == pytest.approx(weights)


def test_the_error_falls_with_what_was_measured():
    generator = random.Random(0)
    rewards = {s: {r: -cost(s, r) * generator.lognormvariate(0, 0.5) for r in REQUESTS} for s in SCHEDULES}
    one, two = order(Standings(rewards, EVENLY))[:2]
    judged = SCHEDULES[3]
    errors = [
        Standings({**rewards, judged: {r: rewards[judged][r] for r in on}}, EVENLY).error(judged)
        for on in ([one], [one, two], REQUESTS[:-1], REQUESTS)
    ]
    assert errors[0] > errors[1] > errors[2] > errors[3] == pytest.approx(0.0, abs=1e-9)


def test_the_error_is_how_far_the_estimate_is_from_the_mean_of_all_requests():
    """Over many schedules run on some requests: the root mean square of what is missed is what was announced."""
    generator = random.Random(2)
    missed, announced = [], []
    for _ in range(60):
        rewards = {s: {r: -cost(s, r) * generator.lognormvariate(0, 0.4) for r in REQUESTS} for s in SCHEDULES}
        judged, on = SCHEDULES[2], generator.sample(REQUESTS, 5)
        part = Standings({**rewards, judged: {r: rewards[judged][r] for r in on}}, EVENLY)
        missed.append(part.of(judged) - Standings(rewards, EVENLY).of(judged))
        announced.append(part.error(judged))
    assert math.sqrt(sum(m * m for m in missed)) == pytest.approx(math.sqrt(sum(a * a for a in announced)), rel=0.35)


def test_where_no_schedule_ran_twice_everything_may_be_noise():
    generator = random.Random(0)
    single = {s: {n % 4: -generator.lognormvariate(0, 1)} for n, s in enumerate(SCHEDULES)}
    assert all(standing.error > 0.1 and standing.elsewhere for standing in Standings(single, EVENLY).everyone(True))


def test_a_rival_whose_neighbours_are_all_worse_is_completed_and_returned():
    """No surrogate can expect it; only what was measured on it tells."""
    mode = evenly_spaced(T, 4)
    rival = Schedule(T, (0, 2, 3, 11))
    worse = {s for s in relocations(rival) if s != rival}

    def reward(request, schedule):
        factor = 0.5 if schedule == rival else 3.0 if schedule in worse else 1.0
        return -factor * HARDNESS[request]

    known = [Measurement(mode, request, reward(request, mode)) for request in REQUESTS]
    search = LocalSearch({4: (mode,)}, REQUESTS, known, 60, seed=0, prior=Prior({4: (rival,)}))
    while pairs := search.propose():
        search.observe({pair: reward(*pair) for pair in pairs})
    assert search.best() == {4: rival}


def test_a_picture_that_tips_over_does_not_decide_alone():
    """On one request of twelve every schedule costs a thousand times what it does elsewhere, one ten times more."""
    rewards = {s: {r: -1.0 if r else -1000.0 for r in REQUESTS} for s in SCHEDULES}
    unlucky, worse = SCHEDULES[:2]
    rewards[unlucky] = {r: -0.5 if r else -10_000.0 for r in REQUESTS}
    rewards[worse] = {r: -40.0 if r else -900.0 for r in REQUESTS}
    standings = Standings(rewards, EVENLY)
    assert standings.shares[0] == pytest.approx(CAP / (CAP + 11))
    assert standings.of(worse) < standings.of(unlucky)
    assert sum(rewards[worse].values()) > sum(rewards[unlucky].values())


def test_a_cost_counts_up_to_thirty_times_what_is_usual():
    rewards = {s: dict.fromkeys(REQUESTS, -1.0) for s in SCHEDULES}
    far, farther = SCHEDULES[:2]
    rewards[far] = {r: -1.0 if r else -500.0 for r in REQUESTS}
    rewards[farther] = {r: -1.0 if r else -5e6 for r in REQUESTS}
    standings = Standings(rewards, EVENLY)
    assert standings.of(far) == pytest.approx(standings.of(farther), abs=0.05)
    assert standings.of(SCHEDULES[5]) > standings.of(far) + 0.5
