"""Samples follow the stated probabilities and depend on nothing but scores and seeds."""

import hashlib
import subprocess
import sys
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


def sampled_digest(kind: str) -> str:
    """Schedules and bit patterns of their log-probabilities, as one hash."""
    policy = BudgetPolicy.from_snapshot(trained(kind, 50, list(range(5, 26, 5))).snapshot(0))
    batch = policy.distributions()
    budgets = [budget for budget in policy.budgets for _ in range(4)]
    schedules = batch.sample(budgets, [torch.Generator().manual_seed(seed) for seed in range(len(budgets))])
    digest = hashlib.sha256("".join(map(str, schedules)).encode())
    digest.update(batch.log_prob(schedules).detach().numpy().tobytes())
    return digest.hexdigest()


def test_sampling_is_bit_identical_in_another_process_and_with_other_thread_counts() -> None:
    program = (
        f"import sys, torch; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r}); torch.set_num_threads(3)\n"
        "from test_distributions_sampling import KINDS, sampled_digest\n"
        "print(*map(sampled_digest, KINDS))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout.split() == [sampled_digest(kind) for kind in KINDS]
