"""A reward of several terms is learned as it is, whatever its sign in one update; a pure cost by its logarithm."""

from __future__ import annotations

import pytest

from recache_ray.config.learning import LearningConfig
from recache_ray.learning.learner import Learner
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, Prompt, RewardBreakdown, Rollout, RolloutGroup

NUM_STEPS = 6
SCHEDULES = [Schedule(NUM_STEPS, steps) for steps in ((0, 1), (0, 2), (0, 3), (0, 4))]
REWARDS = [-0.9, -0.001, -0.1, -0.3]


def gradient_norm(shift: float, log_costs: bool) -> float:
    """Of one update on rewards shifted by a constant of prompt and noise."""
    policy = BudgetPolicy(NUM_STEPS, [2], seed=0)
    learner = Learner(policy, LearningConfig(entropy_weight=0.0), log_costs=log_costs)
    log_prob = policy.distribution(2).log_prob(SCHEDULES).detach().tolist()
    rollouts = tuple(
        Rollout(schedule, value, RewardBreakdown(reward + shift))
        for schedule, value, reward in zip(SCHEDULES, log_prob, REWARDS, strict=True)
    )
    group = RolloutGroup(0, GenerationRequest(Prompt(0, "a"), 0), 0, rollouts, 8, 8, 0.1)
    return learner.update([group]).metrics["policy/gradient_norm"]


def test_a_constant_of_the_prompt_changes_nothing_even_where_it_turns_the_sign() -> None:
    assert gradient_norm(0.0, False) == pytest.approx(gradient_norm(1.0, False), rel=1e-5)


def test_pure_costs_are_seen_through_their_logarithm() -> None:
    assert gradient_norm(0.0, True) != pytest.approx(gradient_norm(0.0, False), rel=1e-4)
    assert gradient_norm(1.0, True) == gradient_norm(1.0, False)
