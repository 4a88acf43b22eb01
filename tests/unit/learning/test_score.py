"""The judge scores the modes of a policy on its requests, asks for nothing twice, and refuses what failed."""

from __future__ import annotations

import math

import pytest

from recache_ray.errors import RunFailedError
from recache_ray.learning.score import Judge
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RewardBreakdown

REQUESTS = [GenerationRequest(Prompt(index, f"prompt {index}"), index) for index in range(3)]
POLICY = BudgetPolicy(8, [2, 4])


def reward(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    return RewardBreakdown(-(1 + request.prompt.index) / schedule.budget)


def judge(pool: ScriptedPool, *, costs: bool) -> Judge:
    return Judge(pool, MechanismSpec("reuse"), REQUESTS, costs=costs, check_stop=lambda: None)


def test_budgets_weigh_alike_in_the_domain_of_the_reward() -> None:
    assert judge(ScriptedPool(reward), costs=False).score(POLICY) == pytest.approx((-2 / 2 - 2 / 4) / 2)
    assert judge(ScriptedPool(reward), costs=True).score(POLICY) == pytest.approx(
        -math.log(1.0) / 2 - math.log(0.5) / 2
    )


def test_the_modes_are_measured_once_on_every_request() -> None:
    pool = ScriptedPool(reward)
    judging = judge(pool, costs=False)
    assert judging.score(POLICY) == judging.score(POLICY)
    asked = [(task.request.prompt.index, schedule) for task in pool.tasks for schedule in task.schedules]  # type: ignore[union-attr]
    modes = [POLICY.distribution(budget).mode() for budget in (2, 4)]
    assert sorted(asked) == sorted((index, mode) for index in range(3) for mode in modes)


def test_a_failed_generation_is_no_score() -> None:
    with pytest.raises(RunFailedError, match="a policy cannot be judged: scripted failure"):
        judge(ScriptedPool(reward, failing=range((1 << 40), (1 << 40) + 20)), costs=False).score(POLICY)
