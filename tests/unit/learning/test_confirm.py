"""The best few schedules of a budget confirmed on further prompts."""

import itertools
import random
from statistics import fmean

import pytest

from recache_ray.learning import confirm
from recache_ray.learning.confirm import FINALISTS, Confirmation, halving, most_evaluations, start_confirmation
from recache_ray.learning.judges import Judges, Jury
from recache_ray.learning.memo import RewardMemo
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RewardBreakdown, Rollout, RolloutGroup

REQUESTS = [GenerationRequest(Prompt(index, f"prompt {index}"), 0) for index in range(40)]
SEARCH = 8
JURY = Jury(Judges.evenly(REQUESTS[:SEARCH]), Judges.evenly(REQUESTS[SEARCH:]))
NEW = len(REQUESTS) - SEARCH
SCHEDULES = list(every_schedule(10, 4))[::5]


def drive(confirmation, cost):
    """Answer until nothing is asked; returns the pairs asked for."""
    asked = []
    while pairs := confirmation.propose():
        asked += pairs
        confirmation.observe({pair: cost(*pair) for pair in pairs})
    return asked


def noisy(seed, means, sigma=0.5):
    """Minus a cost with a mean for every schedule, and luck for every pair."""

    def reward(request, schedule):
        return -means[schedule] * random.Random(f"{seed} {request} {schedule.compute_steps}").lognormvariate(0.0, sigma)

    return reward


def known_of(schedules, reward, requests=range(SEARCH)):
    return {schedule: {request: reward(request, schedule) for request in requests} for schedule in schedules}


def unknown(schedules):
    return {schedule: {} for schedule in schedules}


def confirming(finalists):
    """Nothing is known of anybody."""
    return Confirmation(finalists, JURY.confirming, unknown(itertools.chain(*finalists.values())), 0)


@pytest.mark.parametrize("num_schedules", [2, 3, 6, 11, 13])
def test_every_round_halves_the_schedules_and_the_last_asks_everyone(num_schedules):
    rounds = halving(num_schedules, 64)
    sizes, asked = [size for size, _ in rounds], [number for _, number in rounds]
    assert sizes[0] == num_schedules and sizes[-1] == 2 and asked[-1] == 64
    assert all(later == -(-size // 2) for size, later in itertools.pairwise(sizes))
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(asked))


def test_a_single_schedule_is_measured_by_all_and_without_anybody_there_is_no_round():
    assert halving(1, 64) == [(1, 64)] and halving(5, 0) == [] and most_evaluations(5, []) == 0
    assert most_evaluations(13, halving(13, 64)) == 13 * 8 + 7 * 8 + 4 * 16 + 2 * 32
    assert most_evaluations(3, halving(13, 64)) == 3 * 8 + 3 * 8 + 3 * 16 + 2 * 32
    reward = noisy(0, dict.fromkeys(SCHEDULES, 1.0))
    alone = Confirmation({4: SCHEDULES[:1]}, JURY.confirming, {SCHEDULES[0]: {}}, 0)
    assert sorted(drive(alone, reward)) == [(request, SCHEDULES[0]) for request in range(NEW)]
    settled = Confirmation({4: SCHEDULES[:3]}, Jury.evenly(REQUESTS).confirming, unknown(SCHEDULES[:3]), 0)
    assert settled.propose() == () and settled.best() == {4: SCHEDULES[0]} and settled.evaluations == 0


def test_what_was_lucky_in_the_search_is_seldom_what_is_confirmed():
    """Twenty schedules, one 10% better than the others: on eight prompts luck chooses, until more judge."""
    schedules = SCHEDULES[:20]
    means = {schedule: 0.9 if schedule == schedules[0] else 1.0 for schedule in schedules}
    lucky, confirmed = 0, 0
    for seed in range(60):
        reward = noisy(seed, means, 0.2)
        known = known_of(schedules, reward)
        ranked = sorted(schedules, key=lambda schedule: -fmean(known[schedule].values()))
        confirmation = confirming({4: ranked[:FINALISTS]})
        drive(confirmation, noisy(1000 + seed, means, 0.2))
        lucky += ranked[0] == schedules[0]
        confirmed += confirmation.best()[4] == schedules[0]
    assert confirmed > 1.5 * lucky and confirmed >= 42


def test_no_pair_is_asked_twice_or_when_known_and_the_bound_holds():
    reward = noisy(3, dict.fromkeys(SCHEDULES, 1.0))
    finalists = {4: SCHEDULES[:7]}
    known = unknown(SCHEDULES[:6]) | {SCHEDULES[6]: {3: -1.0, SEARCH + 2: -1.0}}
    confirmation = Confirmation(finalists, JURY.confirming, known, 0)
    bound = confirmation.evaluations
    asked = drive(confirmation, reward)
    assert len(asked) == len(set(asked)) == confirmation.spent == confirmation.evaluations <= bound
    assert not [pair for pair in asked if pair[0] in known[pair[1]]]
    best = confirmation.best()[4]
    assert {request for request, schedule in asked if schedule == best} | set(known[best]) == set(range(NEW))


def test_a_schedule_that_fails_is_out_and_the_search_has_the_last_word_where_all_do():
    reward = noisy(5, {schedule: 1.0 + number for number, schedule in enumerate(SCHEDULES)})
    first, second, third = SCHEDULES[:3]
    confirmation = confirming({4: (first, second, third)})
    drive(confirmation, lambda request, schedule: None if schedule == first else reward(request, schedule))
    assert confirmation.best() == {4: second}
    nobody = confirming({4: (third, second)})
    drive(nobody, lambda request, schedule: None)
    assert nobody.best() == {4: third}


def test_budgets_are_decided_apart_and_in_the_same_rounds():
    others = list(every_schedule(10, 3))[:2]
    means = dict.fromkeys((*SCHEDULES, *others), 1.0) | {SCHEDULES[4]: 0.4, others[1]: 0.4}
    reward = noisy(7, means, 0.1)
    confirmation = confirming({3: others, 4: SCHEDULES[:6]})
    first = confirmation.propose()
    assert {schedule.budget for _, schedule in first} == {3, 4}
    confirmation.observe({pair: reward(*pair) for pair in first})
    drive(confirmation, reward)
    assert confirmation.best() == {3: others[1], 4: SCHEDULES[4]}


def memo_of(rewards, version=1):
    memo = RewardMemo(MechanismSpec("reuse"))
    for schedule, by_request in rewards.items():
        for number, reward in by_request.items():
            rollout = Rollout(schedule, 0.0, RewardBreakdown(reward), memoised=False)
            memo.record(RolloutGroup(0, REQUESTS[number], 0, (rollout,), 1, 1, 0.0, "test"), version)
    return memo


def finalists_of(confirmation):
    return {schedule for _, schedule in confirmation.propose()}


def test_finalists_are_the_choice_the_best_measured_and_all_rivals():
    chosen, near, rival, lost, *many = every_schedule(10, 4)
    means = {chosen: 1.0, near: 1.01, rival: 1.05, lost: 5.0} | {s: 3.0 + n for n, s in enumerate(many)}
    reward = noisy(1, means, 0.3)
    known = known_of((chosen, near, *many), reward) | known_of((rival, lost), reward, range(2))
    confirmation = start_confirmation(memo_of(known), 1, JURY, {4: chosen}, {4: (rival, lost)}, 0)
    found = finalists_of(confirmation)
    assert {chosen, rival, lost} <= found and not found & set(many[2 * FINALISTS :]) and len(found) <= FINALISTS + 2
    later = memo_of({chosen: known[chosen]}, 1)
    for other in (near, rival):
        later.record(
            RolloutGroup(0, REQUESTS[0], 0, (Rollout(other, 0.0, RewardBreakdown(-0.1), False),), 1, 1, 0.0, "t"), 9
        )
    assert finalists_of(start_confirmation(later, 1, JURY, {4: chosen}, {4: (rival,)}, 0)) == {chosen, rival}


def test_a_choice_that_was_never_measured_is_confirmed_alone():
    mode = Schedule(10, (0, 1, 2, 3))
    confirmation = start_confirmation(
        memo_of(known_of(SCHEDULES[1:3], noisy(0, dict.fromkeys(SCHEDULES, 1.0)))), 1, JURY, {4: mode}, {}, 0
    )
    assert finalists_of(confirmation) == {mode}


def test_what_suits_those_it_was_searched_on_has_no_bonus_for_that():
    """A hundredth of the rival's cost on each of the search's prompts, and a tenth more on every other one."""
    chosen, rival = SCHEDULES[:2]
    known = {chosen: dict.fromkeys(range(SEARCH), -0.01), rival: dict.fromkeys(range(SEARCH), -1.0)}
    confirmation = start_confirmation(memo_of(known), 1, JURY, {4: chosen}, {4: (rival,)}, 0)
    asked = drive(confirmation, lambda request, schedule: -1.1 if schedule == chosen else -1.0)
    assert confirmation.best() == {4: rival} and len(asked) == 2 * NEW


def test_finalists_that_differ_by_more_than_one_step_come_before_those_that_do_not():
    chosen = Schedule(30, (0, 8, 16, 24))
    near = [Schedule(30, (0, 8, 16, last)) for last in range(17, 30) if last != 24]
    other = Schedule(30, (0, 4, 12, 20))
    rewards = {chosen: -1.0, other: -2.0} | {schedule: -1.1 - 0.01 * n for n, schedule in enumerate(near)}
    known = {schedule: dict.fromkeys(range(SEARCH), reward) for schedule, reward in rewards.items()}
    confirmation = start_confirmation(memo_of(known), 1, JURY, {4: chosen}, {}, 0)
    assert finalists_of(confirmation) == {chosen, other, *near[: FINALISTS - 2]}


def test_those_first_asked_reach_from_the_hard_ones_to_the_easy_ones():
    weights = tuple(number / 528 for number in range(1, NEW + 1))
    judges = Judges(REQUESTS[SEARCH:], weights)
    confirmation = Confirmation({4: SCHEDULES[:8]}, judges, unknown(SCHEDULES[:8]), 0)
    assert [request for request, schedule in confirmation.propose() if schedule == SCHEDULES[0]] == [*range(0, NEW, 4)]


def test_in_portions_the_same_is_asked_and_decided(monkeypatch):
    reward = noisy(11, dict.fromkeys(SCHEDULES, 1.0))

    def confirmed():
        confirmation = confirming({4: SCHEDULES[:6]})
        return set(drive(confirmation, reward)), confirmation.best()

    whole = confirmed()
    monkeypatch.setattr(confirm, "AT_ONCE", 3)
    assert confirmed() == whole
