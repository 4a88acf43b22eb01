"""What learning reaches on problems whose best schedules are known; takes minutes rather than seconds."""

from __future__ import annotations

import math

import pytest

from recache_ray.learning.black_box import learn_schedules
from recache_ray.learning.moves import evenly_spaced
from recache_ray.schedules import Schedule
from recache_ray.testing.synthetic_rewards import FlowTable, SegmentReward
from recache_ray.types import GenerationRequest, Prompt


@pytest.mark.parametrize(("num_steps", "budgets", "evaluations"), [(16, (2, 4, 6, 8), 600), (20, (4, 7), 600)])
def test_reaches_the_optimum_of_additive_segment_costs(
    num_steps: int, budgets: tuple[int, ...], evaluations: int
) -> None:
    reward = SegmentReward(num_steps, seed=num_steps)
    calls: list[tuple[int, Schedule]] = []

    def reward_fn(prompt: int, schedule: Schedule) -> float:
        calls.append((prompt, schedule))
        return reward(GenerationRequest(Prompt(prompt, ""), 0), schedule).reward

    table = learn_schedules(reward_fn, num_steps, budgets, num_prompts=2, max_evaluations=evaluations, seed=0)
    for budget in budgets:
        assert reward.cost(table[budget]) == pytest.approx(reward.optimum(budget), rel=1e-9), budget
    assert len(calls) == len(set(calls)) <= evaluations


@pytest.mark.parametrize("order", [0, 1, 2])
def test_comes_close_to_the_best_schedules_of_a_flow_model_under_caching(order: int) -> None:
    budgets = (3, 4, 5, 6)
    flow = FlowTable(budgets, order, seed=1, num_steps=12, num_prompts=3)
    table = learn_schedules(lambda p, s: -math.log(flow.cost(p, s)), 12, budgets, 3, max_evaluations=400, seed=0)
    evenly = {budget: evenly_spaced(12, budget) for budget in budgets}
    assert flow.regret(evenly) > 1.5
    assert flow.regret(dict(table)) < 1.2
