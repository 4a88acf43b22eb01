"""learn_schedules on small problems: within its evaluations, never asking twice; larger ones are in tests/outcomes."""

import math

import pytest
import torch

from recache_ray.errors import BadInputError
from recache_ray.learning.black_box import learn_schedules
from recache_ray.schedules import Schedule
from recache_ray.testing.synthetic_rewards import SegmentReward
from recache_ray.types import GenerationRequest, Prompt


def counted(reward):
    calls = []

    def reward_fn(prompt, schedule):
        assert isinstance(prompt, int) and isinstance(schedule, Schedule)
        calls.append((prompt, schedule))
        return reward(GenerationRequest(Prompt(prompt, ""), 0), schedule).reward

    return reward_fn, calls


def test_reaches_the_optimum_of_a_small_problem():
    reward = SegmentReward(9, seed=3)
    reward_fn, calls = counted(reward)
    table = learn_schedules(reward_fn, 9, (2, 3, 4), num_prompts=1, max_evaluations=120, seed=0)
    for budget in (2, 3, 4):
        assert reward.cost(table[budget]) == pytest.approx(reward.optimum(budget), rel=1e-9), budget
    assert len(calls) == len(set(calls)) <= 120


@pytest.mark.parametrize("evaluations", [1, 7, 60])
def test_few_evaluations_are_kept_to(evaluations):
    reward_fn, calls = counted(SegmentReward(8))
    table = learn_schedules(reward_fn, 8, "2..4", num_prompts=3, max_evaluations=evaluations)
    assert table.budgets == (2, 3, 4)
    assert len(calls) == len(set(calls)) <= evaluations


def test_a_few_prompts_are_all_judged_on_even_with_few_evaluations():
    """The last of four prompts decides the mean, the others prefer another schedule."""
    table = learn_schedules(
        lambda p, s: -(abs(s.compute_steps[1] - (2, 2, 2, 4)[p]) + 1) * (1, 1, 1, 9)[p], 6, [2], 4, 60
    )
    assert table[2] == Schedule(6, (0, 4))


def test_budgets_with_a_single_schedule():
    reward_fn, calls = counted(SegmentReward(5))
    table = learn_schedules(reward_fn, 5, [1, 2, 5], num_prompts=1, max_evaluations=40)
    assert table[1] == Schedule(5, (0,)) and table[5] == Schedule.full(5)
    assert len(calls) == len(set(calls)) <= 40


def test_the_seed_decides_everything():
    reward_fn, _ = counted(SegmentReward(9))
    tables = [learn_schedules(reward_fn, 9, [3, 4], 2, 80, seed=seed).to_json() for seed in (1, 1)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_prompts": 0}, "num_prompts = 0"),
        ({"max_evaluations": 0}, "max_evaluations = 0"),
        ({"budgets": [9]}, "between 1 and num_steps = 8"),
        ({"reward_fn": lambda prompt, schedule: math.nan}, "must be finite"),
    ],
)
def test_bad_input(changes, message):
    arguments = {
        "reward_fn": lambda prompt, schedule: 0.0, "num_steps": 8, "budgets": [2], "num_prompts": 1,
        "max_evaluations": 20,
    }  # fmt: skip
    with pytest.raises(BadInputError, match=message):
        learn_schedules(**(arguments | changes))


def test_an_application_that_switched_gradients_off_learns_the_same() -> None:
    def learned() -> dict[int, Schedule]:
        table = learn_schedules(lambda _, schedule: -float(sum(schedule.compute_steps)), 8, (2, 3), 1, 60)
        return {budget: table[budget] for budget in table.budgets}

    usual = learned()
    with torch.no_grad():
        assert learned() == usual
