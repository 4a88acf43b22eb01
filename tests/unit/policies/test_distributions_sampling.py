"""Samples follow the stated probabilities and depend on nothing but scores and seeds."""

from collections import Counter
from itertools import combinations

import pytest
import torch

from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule

KINDS = ("path", "conditional_bernoulli", "plackett_luce")


def trained(kind: str, num_steps: int, budgets: list[int]) -> BudgetPolicy:
    """A policy away from its initial scores."""
    policy = BudgetPolicy(num_steps, budgets, kind)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return policy


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_frequencies_match_probabilities(kind: str) -> None:
    """Chi-square over all 20 schedules; the bound is the 99.9% quantile at 19 degrees of freedom. The seed is fixed."""
    draws = 20_000
    distribution = trained(kind, 7, [4]).distribution(4)
    counts = Counter(distribution.sample(draws, torch.Generator().manual_seed(0)))
    schedules = [Schedule(7, (0, *rest)) for rest in combinations(range(1, 7), 3)]
    assert sum(counts[schedule] for schedule in schedules) == draws
    expected = (distribution.log_prob(schedules).exp() * draws).tolist()
    assert sum((counts[s] - e) ** 2 / e for s, e in zip(schedules, expected, strict=True)) < 43.8


@pytest.mark.parametrize("kind", KINDS)
def test_a_sibling_depends_only_on_its_own_generator(kind: str) -> None:
    batch = trained(kind, 12, [2, 5, 11]).distributions()
    budgets = [5, 2, 11, 5, 2]
    together = batch.sample(budgets, [torch.Generator().manual_seed(seed) for seed in range(5)])
    alone = [batch.at(k).sample(1, torch.Generator().manual_seed(seed))[0] for seed, k in enumerate(budgets)]
    assert together == alone
    generator = torch.Generator().manual_seed(9)
    one_by_one = [batch.at(5).sample(1, generator)[0] for _ in range(4)]
    assert batch.at(5).sample(4, torch.Generator().manual_seed(9)) == one_by_one
    assert batch.at(5).sample(0, generator) == []
