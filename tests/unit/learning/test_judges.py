"""Which validation prompts judge: the drawing, its weights, and the screening in the loop."""

import itertools
import random
import threading
from statistics import fmean

import pytest

from recache_ray.config.learning import LearningConfig
from recache_ray.learning.checkpoint import CheckpointStore
from recache_ray.learning.function_pool import FunctionPool
from recache_ray.learning.judges import FLOOR, Jury, draw_jury, screening_schedules
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.learning.moves import evenly_spaced
from recache_ray.learning.plan import TaskPlan
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.testing.fake_pool import FakePool, Killed
from recache_ray.types import (
    BatchReport,
    GenerationRequest,
    MechanismSpec,
    Prompt,
    RewardBreakdown,
    RolloutFailure,
)

T = 12
REQUESTS = [GenerationRequest(Prompt(index, f"prompt {index}"), 0) for index in range(60)]
SCREENING = (evenly_spaced(T, 2), evenly_spaced(T, 3))


def heavy_tailed(seed):
    """Costs per prompt: one prompt in ten is a hundred times as hard as the others."""
    generator = random.Random(seed)
    return [generator.uniform(0.5, 1.5) * (1.0 if index % 10 else 100.0) for index in range(len(REQUESTS))]


def draw_judges(requests, rewards, num, seed):
    return draw_jury(requests, rewards, num, 0, seed).search


def drawn_mean(judges, costs):
    return sum(w * costs[request.prompt.index] for request, w in zip(judges.requests, judges.weights, strict=True))


def test_the_weighted_mean_of_few_judges_is_close_to_the_mean_of_all_where_an_even_draw_is_not():
    costs = heavy_tailed(0)
    rewards = {schedule: [-cost for cost in heavy_tailed(1 + n)] for n, schedule in enumerate(SCREENING)}
    drawn = [drawn_mean(draw_judges(REQUESTS, rewards, 12, seed), costs) for seed in range(40)]
    even = [fmean(random.Random(seed).sample(costs, 12)) for seed in range(40)]
    true = fmean(costs)
    assert max(abs(mean / true - 1) for mean in drawn) < 0.2 < fmean(abs(mean / true - 1) for mean in even)


@pytest.mark.parametrize("num", [1, 7, 30, 59])
def test_judges_are_distinct_as_many_as_asked_and_share_one_mean(num):
    rewards = {schedule: [-cost for cost in heavy_tailed(3)] for schedule in SCREENING}
    judges = draw_judges(REQUESTS, rewards, num, seed=5)
    assert len(set(judges.requests)) == len(judges.requests) == num
    assert sum(judges.weights) == pytest.approx(1.0) and min(judges.weights) > 0.0
    assert judges == draw_judges(REQUESTS, rewards, num, seed=5)


@pytest.mark.parametrize(("num", "further"), [(7, 20), (12, 30), (12, 48), (12, 100)])
def test_the_two_circles_have_nobody_in_common_and_as_many_as_asked(num, further):
    rewards = {schedule: [-cost for cost in heavy_tailed(3)] for schedule in SCREENING}
    jury = draw_jury(REQUESTS, rewards, num, further, seed=5)
    search, confirming = set(jury.search.requests), set(jury.confirming.requests)
    assert len(search) == len(jury.search.requests) == num and not search & confirming
    assert len(confirming) == len(jury.confirming.requests) == min(further, len(REQUESTS) - num)
    assert sum(jury.confirming.weights) == pytest.approx(1.0) == pytest.approx(sum(jury.search.weights))


def test_either_circle_estimates_the_mean_of_all_and_holds_hard_ones():
    costs = heavy_tailed(0)
    rewards = {schedule: [-cost for cost in heavy_tailed(1 + n)] for n, schedule in enumerate(SCREENING)}
    drawn = [draw_jury(REQUESTS, rewards, 12, 24, seed) for seed in range(200)]
    true = fmean(costs)
    for circle in ("search", "confirming"):
        errors = [drawn_mean(getattr(jury, circle), costs) / true - 1 for jury in drawn]
        assert abs(fmean(errors)) < 0.05 and fmean(map(abs, errors)) < 0.2
        hard = [
            [request for request in getattr(jury, circle).requests if request.prompt.index % 10 == 0] for jury in drawn
        ]
        assert min(map(len, hard)) == max(map(len, hard)) == 3


def test_the_mean_of_those_who_confirm_is_reported_where_there_are_any():
    rewards = {schedule: [-cost for cost in heavy_tailed(3)] for schedule in SCREENING}
    both, alone = draw_jury(REQUESTS, rewards, 12, 24, 0), draw_jury(REQUESTS, rewards, 12, 0, 0)
    assert both.reporting is both.confirming and alone.reporting is alone.search
    assert Jury.evenly(REQUESTS).reporting.requests == tuple(REQUESTS)


def test_every_prompt_is_drawn_as_often_as_its_weight_says():
    """The estimate is unbiased: a prompt's number of draws times its weight is the same for all."""
    costs = [1.0, 1.0, 2.0, 4.0]
    counts = [0] * 4
    for seed in range(4000):
        for request in draw_judges(REQUESTS[:4], {SCREENING[0]: [-cost for cost in costs]}, 1, seed).requests:
            counts[request.prompt.index] += 1
    floored = [cost + FLOOR * fmean(costs) for cost in costs]
    assert [count / 4000 for count in counts] == pytest.approx([c / sum(floored) for c in floored], abs=0.03)


def test_prompts_all_alike_or_rewards_of_another_kind_are_drawn_too():
    flat = draw_judges(REQUESTS, {schedule: [0.0] * 60 for schedule in SCREENING}, 10, seed=0)
    assert flat.weights == pytest.approx([0.1] * 10)
    # positive rewards are no costs: what counts is how far a prompt's rewards are apart
    apart = {SCREENING[0]: [5.0] * 60, SCREENING[1]: [5.0 + (100.0 if index == 7 else 0.1) for index in range(60)]}
    assert all(REQUESTS[7] in draw_judges(REQUESTS, apart, 10, seed).requests for seed in range(10))


def test_screening_schedules_span_the_budgets_and_are_of_them():
    assert [schedule.budget for schedule in screening_schedules(50, range(5, 26))] == [5, 11, 25]
    assert [schedule.budget for schedule in screening_schedules(50, (5, 8, 25))] == [5, 8, 25]
    assert [schedule.budget for schedule in screening_schedules(20, (3, 4, 5))] == [3, 4, 5]
    assert [schedule.budget for schedule in screening_schedules(6, (2,))] == [2]


def test_a_prompt_that_is_hard_at_the_highest_budget_only_is_judged_on():
    low, _, high = schedules = screening_schedules(50, range(5, 26))
    flat = [-1.0] * len(REQUESTS)
    tips_over = [-0.001] * 59 + [-0.1]
    rewards = {schedule: tips_over if schedule is high else flat for schedule in schedules}
    assert all(REQUESTS[59] in draw_judges(REQUESTS, rewards, 12, seed).requests for seed in range(20))
    assert not all(REQUESTS[59] in draw_judges(REQUESTS, {low: flat}, 12, seed).requests for seed in range(20))


class CountingPool(FunctionPool):
    """Keeps which pairs were run."""

    def __init__(self, reward):
        self.asked = []
        super().__init__(lambda request, schedule: self.asked.append((request, schedule)) or reward(request, schedule))


def loop(pool, num_judges, evaluations=40, num_confirming=0):
    section = LearningConfig(
        budgets="3", num_updates=1, siblings=2, num_judges=num_judges, num_confirming=num_confirming
    )
    plan = TaskPlan(REQUESTS[50:], MechanismSpec("reuse"), (3,), 2, tasks_per_update=2)
    made = TrainingLoop(Learner(BudgetPolicy(T, [3]), section), plan, pool, REQUESTS[:40], section)
    made.learn()
    return made, made.polish(evaluations)


def cost(request, schedule):
    """Prompt 10, 20 and 30 decide the mean and want the last step computed, all others the second."""
    hard = request.prompt.index % 10 == 0
    right = 11 if hard else 1
    return RewardBreakdown(-(100.0 if hard else 1.0) * (0.5 if schedule.computes(right) else 1.0))


def test_the_polish_finds_what_is_best_on_the_mean_of_all_prompts_though_it_judges_on_few():
    pool = CountingPool(cost)
    _, table = loop(pool, num_judges=6, evaluations=120)
    judged = {request for request, schedule in pool.asked if schedule not in screening_schedules(T, (3,))}
    assert table[3].computes(11)
    assert len(judged - set(REQUESTS[50:])) == 6
    mean = fmean(cost(request, table[3]).reward for request in REQUESTS[:40])
    assert table.metrics[3]["reward"] == pytest.approx(mean, rel=0.4)


def test_the_outcome_is_confirmed_on_as_many_more_and_reported_on_them():
    pool = CountingPool(cost)
    _, table = loop(pool, num_judges=6, evaluations=120, num_confirming=20)
    judged = {request for request, schedule in pool.asked if schedule not in screening_schedules(T, (3,))}
    assert table[3].computes(11)
    assert len(judged - set(REQUESTS[50:])) == 26 and table.metrics[3]["num_samples"] == 20
    mean = fmean(cost(request, table[3]).reward for request in REQUESTS[:40])
    assert table.metrics[3]["reward"] == pytest.approx(mean, rel=0.1)


def test_screening_is_not_repeated_by_a_second_polish_and_none_is_done_where_all_judge():
    pool = CountingPool(cost)
    made, table = loop(pool, num_judges=6)
    asked = len(pool.asked)
    assert made.polish(40) == table and len(pool.asked) == asked
    assert len(made.jury(itertools.count())[0].search.requests) == 6
    everyone, _ = loop(CountingPool(cost), num_judges=40)
    assert everyone.jury(itertools.count())[0] == Jury.evenly(REQUESTS[:40])


@pytest.mark.parametrize("kill_at", [4, 20, 60])
def test_a_run_killed_while_screening_or_after_it_ends_with_the_same_schedules(tmp_path, kill_at):
    def resumable(pool, folder):
        section = LearningConfig(budgets="3", num_updates=1, siblings=2, num_judges=6, polish_evaluations=40)
        plan = TaskPlan(REQUESTS[50:], MechanismSpec("reuse"), (3,), 2, tasks_per_update=2)
        learner, store = Learner(BudgetPolicy(T, [3]), section), CheckpointStore(folder, 2)
        made = TrainingLoop(learner, plan, pool, REQUESTS[:40], section, checkpoints=store)
        if checkpoint := store.load_newest(pytest.fail):
            made.resume(checkpoint)
        return made.run().table

    expected = resumable(FakePool(cost), tmp_path / "calm")
    with pytest.raises(Killed):
        resumable(FakePool(cost, kill_at=kill_at), tmp_path / "killed")
    assert resumable(FakePool(cost), tmp_path / "killed") == expected


class FailingPool(FunctionPool):
    """Fails every task in which prompt 10 is."""

    def collect(self, timeout_s=None):
        (result,) = super().collect(timeout_s)
        groups = result.groups if isinstance(result, BatchReport) else (result,)
        if REQUESTS[10] in [group.request for group in groups]:
            return (RolloutFailure(result.task_id, "fake failure", retryable=False, worker="test"),)
        return (result,)


def test_a_prompt_that_fails_the_screening_never_judges():
    section = LearningConfig(budgets="3", num_updates=0, num_judges=6, max_failure_share=0.5)
    plan = TaskPlan(REQUESTS[50:], MechanismSpec("reuse"), (3,), 2, tasks_per_update=2)
    learner = Learner(BudgetPolicy(T, [3]), section)
    made = TrainingLoop(learner, plan, FailingPool(cost), REQUESTS[:40], section, stop=threading.Event())
    jury, _ = made.jury(itertools.count())
    assert len(jury.search.requests) == 6
    judging = set(jury.search.requests) | set(jury.confirming.requests)
    assert REQUESTS[10] not in judging and len(judging) == 39
