"""A narrowed snapshot is the same policy for the budgets it keeps, bit for bit, and small enough for a call."""

from __future__ import annotations

import pytest
import torch

from recache_ray.policies.narrow import narrowed
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.sampling import ScheduleSampler
from recache_ray.types import PolicySnapshot

RAY_SENDS_INSIDE_A_CALL = 100 * 1024


def snapshot(kind: str, parameterisation: str = "tables", num_steps: int = 12) -> PolicySnapshot:
    policy = BudgetPolicy(num_steps, [2, 3, 5, 8], kind=kind, parameterisation=parameterisation)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return policy.snapshot(7)


@pytest.mark.parametrize("kind", ["path", "conditional_bernoulli", "plackett_luce"])
@pytest.mark.parametrize("parameterisation", ["tables", "network"])
@pytest.mark.parametrize("budgets", [(3,), (8, 8, 2), (2, 3, 5, 8)])
def test_it_draws_the_same_schedules_with_the_same_log_probabilities(
    kind: str, parameterisation: str, budgets: tuple[int, ...]
) -> None:
    whole = snapshot(kind, parameterisation)
    small = narrowed(whole, budgets)
    assert small.version == whole.version
    assert ScheduleSampler().sample(small, budgets * 4, 9) == ScheduleSampler().sample(whole, budgets * 4, 9)


def test_it_holds_what_its_budgets_need_and_no_more() -> None:
    whole = snapshot("path")
    assert len(narrowed(whole, (5, 3)).parameters) * 5 == len(whole.parameters) * 3  # shared row and two of four
    assert narrowed(whole, (2, 3, 5, 8)) is whole
    assert narrowed(whole, (4,)) is whole  # not trained: served by the nearest, which it must keep
    assert narrowed(whole, ()) is whole
    large = BudgetPolicy(50, range(5, 26)).snapshot(0)
    assert len(large.parameters) > RAY_SENDS_INSIDE_A_CALL > 9 * len(narrowed(large, (15,)).parameters)
