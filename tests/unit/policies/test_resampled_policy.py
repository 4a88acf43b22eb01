"""A policy carried to another number of steps: the same k at the same noise levels is worth the same."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch

from recache_ray.errors import BadInputError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.policies.prior import edge_pairs
from recache_ray.schedules import Schedule

VARIANTS = list(product(("path", "conditional_bernoulli", "plackett_luce"), ("tables", "network")))


def trained(kind: str, parameterisation: str) -> BudgetPolicy:
    policy = BudgetPolicy(8, [3, 5, 8], kind, parameterisation, hidden_size=8, logit_bound=9.0, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return policy


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_the_same_noise_levels_have_the_same_scores_at_a_multiple_of_t(kind: str, parameterisation: str) -> None:
    policy = trained(kind, parameterisation)
    if kind == "path":
        i, j = edge_pairs(8)
        lookup = {pair: place for place, pair in enumerate(zip(*(x.tolist() for x in edge_pairs(24)), strict=True))}
        places = [lookup[3 * a, 3 * b] for a, b in zip(i.tolist(), j.tolist(), strict=True)]
    else:
        places = [3 * step - 1 for step in range(1, 8)]
    budgets = (3, 4, 5)
    torch.testing.assert_close(policy.scores(24, budgets)[:, places], policy.scores(8, budgets), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
@pytest.mark.parametrize("num_steps", [4, 8, 13])
def test_a_resampled_policy_has_the_distributions_of_the_original_there(
    kind: str, parameterisation: str, num_steps: int, tmp_path: Path
) -> None:
    policy = trained(kind, parameterisation)
    chosen = Schedule(8, (0, 6, 7))
    policy.set_validated({3: chosen})
    carried = policy.resampled(num_steps)
    assert carried.num_steps == num_steps
    assert carried.budgets == tuple(k for k in policy.budgets if k <= num_steps)
    with torch.no_grad():
        expected = policy.distributions(carried.budgets, num_steps).inclusion()
        torch.testing.assert_close(carried.distributions().inclusion(), expected, atol=1e-4, rtol=1e-4)
    assert carried.schedule(3) == policy.schedule(3, num_steps) == chosen.resampled(num_steps)
    carried.save_pretrained(tmp_path)
    again = BudgetPolicy.from_pretrained(tmp_path)
    assert again.parameters_bytes == carried.parameters_bytes and again.schedule(3) == carried.schedule(3)
    if num_steps == 8:
        assert carried.parameters_bytes == policy.parameters_bytes


def test_other_budgets_start_from_the_nearest_trained_one_and_the_original_is_left_alone() -> None:
    policy = trained("path", "tables")
    before = policy.parameters_bytes
    carried = policy.resampled(12, [2, 3, 10])
    assert carried.budgets == (2, 3, 10)
    corrections = carried.get_parameter("scores.correction")
    assert torch.equal(corrections[0], corrections[1]) and not torch.equal(corrections[1], corrections[2])
    with torch.no_grad():
        for parameter in carried.parameters():
            parameter.add_(1.0)
    assert policy.parameters_bytes == before


@pytest.mark.parametrize(
    ("num_steps", "budgets", "message"),
    [
        (1, None, "num_steps = 1: must be at least 2"),
        (2, None, "num_steps = 2: below every budget of this policy, the smallest being 3; choose more steps"),
        (6, [7], "must be between 1 and num_steps = 6"),
    ],
)
def test_what_does_not_fit_is_refused(num_steps: int, budgets: list[int] | None, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        trained("path", "tables").resampled(num_steps, budgets)
