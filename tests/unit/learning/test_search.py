"""Moves and surrogate of the local search."""

import itertools
import random

import pytest
import torch

from recache_ray.learning import moves
from recache_ray.learning.evidence import Measurement
from recache_ray.learning.polish import LocalSearch
from recache_ray.learning.prior import Prior
from recache_ray.learning.standing import Standing
from recache_ray.learning.surrogate import MAX_FITTED, fit_surrogate
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule, num_schedules
from recache_ray.testing.synthetic_rewards import SegmentReward
from recache_ray.types import GenerationRequest, Prompt

REWARD = SegmentReward(12)


def reward(request, schedule):
    return REWARD(GenerationRequest(Prompt(request, ""), 0), schedule).reward


def test_the_first_requests_of_a_schedule_reach_from_hard_to_easy():
    mode, other = Schedule(12, (0, 3, 6, 9)), Schedule(12, (0, 2, 6, 9))
    measured = [Measurement(mode, request, -(2.0 ** (8 - request / 4))) for request in range(16)]
    search = LocalSearch({4: [mode]}, range(16), measured, 200, seed=0, prior=Prior({4: [other]}))
    assert [request for request, schedule in search.propose() if schedule == other] == [0, 4, 8, 12]


def test_enumeration_counts_match():
    schedules = list(every_schedule(8, 4))
    assert len(schedules) == len(set(schedules)) == num_schedules(8, 4) == 35


def test_moves_keep_or_change_the_budget_as_they_say():
    schedule = Schedule(9, (0, 1, 4, 8))
    near = list(moves.relocations(schedule))
    assert Schedule(9, (0, 2, 4, 8)) in near and Schedule(9, (0, 1, 4, 6)) in near
    assert all(s.budget == 4 and len(set(s.compute_steps) & {0, 1, 4, 8}) == 3 for s in near)
    assert {s.budget for s in moves.random_jumps(schedule, 20, random.Random(0))} == {4}
    assert {s.budget for s in moves.additions(schedule)} == {5}
    assert len(list(moves.removals(schedule))) == 3
    assert moves.evenly_spaced(10, 4) == Schedule(10, (0, 2, 5, 7))
    assert list(moves.random_jumps(Schedule.full(5), 3, random.Random(0))) == []


def test_crossovers_are_the_schedules_that_follow_one_parent_up_to_a_step_and_another_from_there_on():
    parents = [Schedule(9, (0, 1, 2, 6)), Schedule(9, (0, 4, 5, 7, 8)), Schedule(9, (0, 3, 6))]
    for budget in (1, 3, 4, 5, 6):
        joined = {
            tuple(step for step in range(9) if (first if step < cut else second).computes(step))
            for first, second in itertools.permutations(parents, 2)
            for cut in range(1, 9)
        } - {parent.compute_steps for parent in parents}
        found = moves.crossovers(parents, budget)
        assert {schedule.compute_steps for schedule in found} == {steps for steps in joined if len(steps) == budget}
        assert found == sorted(set(found))


def test_a_rivals_beginning_is_joined_to_the_end_of_another_of_a_neighbouring_budget():
    mode, first, second = (
        moves.evenly_spaced(24, 7),
        Schedule(24, (0, *range(1, 6), 23)),
        Schedule(24, (0, *range(17, 24))),
    )
    search = LocalSearch({7: [mode], 8: [second]}, (0,), [], 400, seed=0, prior=Prior({7: [first]}))
    proposed = set()
    while pairs := search.propose():
        proposed |= {schedule for _, schedule in pairs}
        search.observe(dict.fromkeys(pairs, 1.0))
    assert Schedule(24, (0, 1, 2, 3, 21, 22, 23)) in proposed


def correlation(predicted, actual):
    ranks = torch.stack([predicted.argsort().argsort().double(), torch.tensor(actual).argsort().argsort().double()])
    return float(torch.corrcoef(ranks)[0, 1])


def test_surrogate_ranks_unseen_schedules_across_budgets_and_knows_what_it_measured():
    generator = random.Random(0)
    schedules = {k: list(every_schedule(12, k)) for k in (4, 5, 6)}
    chosen = [schedule for k in (4, 6) for schedule in generator.sample(schedules[k], 60)]
    chosen += generator.sample(schedules[5], 10)
    surrogate = fit_surrogate([Standing(schedule, reward(0, schedule), 0.01) for schedule in chosen])
    unseen = [s for s in schedules[5] if s not in chosen]
    predicted, deviation = surrogate.predict(unseen)
    assert correlation(predicted, [reward(0, s) for s in unseen]) > 0.7
    _, known = surrogate.predict([chosen[0]])
    assert float(known) < float(deviation.mean()) / 2


def test_what_is_known_less_precisely_moves_the_prediction_less():
    told = Schedule(12, (0, 3, 6, 9))
    others = [Standing(s, 0.3 * n, 0.1) for n, s in enumerate(list(every_schedule(12, 4))[::40])]
    high = [
        float(fit_surrogate([*others, Standing(told, 9.0, error)]).predict([told])[0]) for error in (0.1, 2.0, 50.0)
    ]
    assert high[0] > high[1] > high[2]


def test_schedules_known_from_other_requests_say_how_they_differ_and_not_how_good_they_are():
    """All of them stand five above the others, since other requests had worse rivals."""
    schedules = list(every_schedule(12, 4))
    judged, elsewhere, unseen = schedules[::12], schedules[1::6], schedules[2::6]
    told = [Standing(s, reward(0, s), 0.01) for s in judged]
    offset = [Standing(s, reward(0, s) + 5.0, 0.01, elsewhere=True) for s in elsewhere if s not in judged]
    unseen = [s for s in unseen if s not in judged and s not in elsewhere]
    predicted, _ = fit_surrogate([*told, *offset]).predict(unseen)
    assert correlation(predicted, [reward(0, s) for s in unseen]) > 0.8
    spread = torch.tensor([standing.value for standing in (*told, *offset)]).std()
    assert float(predicted.mean()) < 0.5 * 5.0 / float(spread)


def test_no_more_schedules_are_fitted_than_set_and_the_precise_ones_come_first():
    generator = random.Random(1)
    chosen = [*generator.sample(list(every_schedule(16, 6)), 900), *generator.sample(list(every_schedule(16, 7)), 900)]
    told = [
        Standing(s, reward(0, Schedule(12, (0, 1, 2, 3))), n / 100, elsewhere=n % 2 == 0) for n, s in enumerate(chosen)
    ]
    fitted = set(fit_surrogate(told).schedules)
    assert len(fitted) == MAX_FITTED
    for budget in (6, 7):
        here = [standing for standing in told if standing.schedule.budget == budget]
        kept = [standing for standing in here if standing.schedule in fitted]
        left = [standing for standing in here if standing.schedule not in fitted]
        assert len(kept) == MAX_FITTED // 2
        assert all(standing.elsewhere for standing in left)
        # of those known from elsewhere the most precise are kept
        assert max(s.error for s in kept if s.elsewhere) <= min(s.error for s in left)


def test_search_is_a_pure_function_of_what_it_is_told():
    def trace(replayed):
        starts = {k: [moves.evenly_spaced(12, k)] for k in (3, 5)}
        search, proposals = LocalSearch(starts, range(3), [], evaluations=60, seed=1), []
        while pairs := search.propose():
            proposals.append(pairs)
            order = reversed(pairs) if replayed else pairs
            search.observe({pair: reward(*pair) for pair in order})
        return proposals, search.best(), search.spent

    proposals, best, spent = trace(replayed=False)
    assert (proposals, best, spent) == trace(replayed=True)
    flat = [pair for pairs in proposals for pair in pairs]
    assert len(flat) == len(set(flat)) == spent <= 60
    for budget, schedule in best.items():
        assert REWARD.cost(schedule) <= REWARD.cost(moves.evenly_spaced(12, budget))


def test_rivals_are_tried_on_the_same_requests_in_the_first_round_and_an_isolated_one_wins():
    start, rival = moves.evenly_spaced(12, 4), Schedule.from_steps(12, (0, 1, 10, 11))
    search = LocalSearch({4: [start]}, range(8), [], evaluations=80, seed=3, prior=Prior({4: [rival, start]}))
    first = search.propose()
    assert {request for request, schedule in first if schedule == start} == set(range(8))
    tried = [request for request, schedule in first if schedule == rival]
    assert len(tried) == len(set(tried)) == 2 and len(first) == 10
    pairs = first
    while pairs:
        search.observe({(p, s): 9.0 if s == rival else reward(p, s) for p, s in pairs})
        pairs = search.propose()
    assert search.best()[4] == rival


def test_failed_schedules_are_given_up():
    starts = {3: [moves.evenly_spaced(12, 3)]}
    search = LocalSearch(starts, range(2), [], evaluations=60, seed=0)
    poisoned = {s for s in every_schedule(12, 3) if s.computes(5)}
    tried = []
    while pairs := search.propose():
        tried += [schedule for _, schedule in pairs if schedule in poisoned]
        search.observe({(p, s): None if s in poisoned else reward(p, s) for p, s in pairs})
    assert len(tried) == len(set(tried))
    assert search.best()[3] not in poisoned


def test_rewards_in_any_unit_are_searched_alike():
    def best(transform):
        search = LocalSearch({4: [moves.evenly_spaced(12, 4)]}, (0,), [], evaluations=60, seed=0)
        while pairs := search.propose():
            search.observe({pair: transform(reward(*pair)) for pair in pairs})
        return search.best()

    assert best(lambda r: r) == best(lambda r: 1000.0 * r - 7.0) == pytest.approx(best(lambda r: r))
