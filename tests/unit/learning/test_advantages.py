"""The estimators of methods 2c and 2d, checked by enumerating every tuple of samples."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.learning.advantages import (
    RewardScale,
    effective_sample_share,
    leave_one_out_advantages,
    truncated_weights,
)

LOGITS = torch.tensor([0.3, -0.5, 1.1, 0.0], dtype=torch.float64)
REWARDS = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)


def _score(probabilities, choice):
    return torch.eye(len(probabilities), dtype=torch.float64)[choice] - probabilities


@pytest.mark.parametrize("siblings", [2, 3])
def test_leave_one_out_gradient_is_unbiased(siblings):
    p = LOGITS.softmax(0)
    expected = p * (REWARDS - p @ REWARDS)
    total = torch.zeros(4, dtype=torch.float64)
    for draw in itertools.product(range(4), repeat=siblings):
        advantages = leave_one_out_advantages(REWARDS[list(draw)])
        gradient = sum(a * _score(p, i) for a, i in zip(advantages, draw, strict=True)) / siblings
        total += math.prod(float(p[i]) for i in draw) * gradient
    assert torch.allclose(total, expected, atol=1e-12)


def test_untruncated_weights_keep_stale_samples_unbiased():
    p, q = LOGITS.softmax(0), torch.tensor([0.1, 0.4, 0.2, 0.3], dtype=torch.float64)
    expected = p * (REWARDS - p @ REWARDS)
    total = torch.zeros(4, dtype=torch.float64)
    for draw in itertools.product(range(4), repeat=3):
        chosen = list(draw)
        weights = truncated_weights(p.log()[chosen], q.log()[chosen], clip=1e9)
        advantages = leave_one_out_advantages(REWARDS[chosen], weights)
        gradient = sum(a * _score(p, i) for a, i in zip(advantages, draw, strict=True)) / 3
        total += math.prod(float(q[i]) for i in draw) * gradient
    assert torch.allclose(total, expected, atol=1e-12)


def test_weights_are_truncated_from_above_only():
    weights = truncated_weights(torch.tensor([0.0, -3.0]), torch.tensor([-5.0, 0.0]), clip=2.0)
    assert weights.tolist() == pytest.approx([2.0, math.exp(-3.0)])


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(-100, 100))
def test_a_constant_added_to_every_reward_changes_nothing(rewards, constant):
    base = torch.tensor(rewards, dtype=torch.float64)
    weights = torch.linspace(0.5, 2.0, len(rewards), dtype=torch.float64)
    shifted = leave_one_out_advantages(base + constant, weights)
    assert torch.allclose(shifted, leave_one_out_advantages(base, weights), atol=1e-9)


def test_a_sibling_alone_has_no_advantage():
    assert leave_one_out_advantages(torch.tensor([3.0])).tolist() == [0.0]


def test_effective_sample_share():
    assert effective_sample_share(torch.ones(4)) == 1.0
    assert effective_sample_share(torch.tensor([1.0, 0.0, 0.0, 0.0])) == 0.25


def test_scale_removes_the_unit_of_each_budget_and_survives_a_round_trip():
    scale = RewardScale()
    for variance in (4.0, 9.0, 1.0):
        scale.observe({3: variance, 5: 100.0 * variance})
    assert scale.scale(5) == pytest.approx(10 * scale.scale(3))
    assert scale.scale(7) == 1.0
    copy = RewardScale()
    copy.load_state(scale.state())
    copy.observe({3: 2.0})
    scale.observe({3: 2.0})
    assert copy.scale(3) == scale.scale(3)
