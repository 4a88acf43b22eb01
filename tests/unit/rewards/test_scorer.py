"""The reward: finite, monotone in LPIPS, and made of the metrics it reports."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recache_ray.config.sections import RewardConfig
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import psnr, ssim
from recache_ray.rewards.fidelity import LPIPS_FLOOR, fidelity_reward
from recache_ray.rewards.scorer import Scorer


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(RewardConfig())


def images_and_reference(siblings: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    reference = generator.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    amplitudes = np.linspace(0, 60, siblings).reshape(-1, 1, 1, 1, 1)
    noise = generator.normal(0, 1, (siblings, 1, 64, 64, 3))
    return np.clip(reference + amplitudes * noise, 0, 255).astype(np.uint8), reference


@given(st.floats(0, 10), st.floats(0, 10))
def test_fidelity_never_prefers_the_larger_lpips_and_stays_finite(one: float, two: float) -> None:
    for kind in ("log", "linear"):
        rewards = [fidelity_reward(value, kind) for value in (one, two)]
        assert all(math.isfinite(reward) for reward in rewards)
        assert (one < two) <= (rewards[0] >= rewards[1])


def test_fidelity_formulas_and_floor() -> None:
    assert fidelity_reward(0.25, "linear") == -0.25
    assert fidelity_reward(0.25, "log") == pytest.approx(math.log(4))
    assert (
        fidelity_reward(0.0, "log") == fidelity_reward(LPIPS_FLOOR / 2, "log") == pytest.approx(-math.log(LPIPS_FLOOR))
    )
    assert fidelity_reward(2 * LPIPS_FLOOR, "log") < fidelity_reward(0.0, "log")


def test_rewards_follow_the_order_of_the_siblings_and_come_from_their_metrics(scorer: Scorer) -> None:
    images, reference = images_and_reference(5)
    scored = scorer.score(images, reference)
    rewards = [breakdown.reward for breakdown in scored]
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[0] == pytest.approx(0.0, abs=1e-9)  # the first sibling is the reference itself
    assert [set(breakdown.metrics) for breakdown in scored] == [{"lpips"}] * 5
    assert rewards == [fidelity_reward(breakdown.metrics["lpips"], RewardConfig().fidelity) for breakdown in scored]
    reversed_rewards = [breakdown.reward for breakdown in scorer.score(images[::-1], reference)]
    assert reversed_rewards == pytest.approx(rewards[::-1], rel=1e-4)


def test_all_metrics_adds_psnr_and_ssim_without_changing_the_reward(scorer: Scorer) -> None:
    images, reference = images_and_reference(3)
    plain, full = scorer.score(images, reference), scorer.score(images, reference, all_metrics=True)
    assert [breakdown.reward for breakdown in full] == [breakdown.reward for breakdown in plain]
    assert [breakdown.metrics["psnr"] for breakdown in full] == psnr(images, reference)
    assert [breakdown.metrics["ssim"] for breakdown in full] == ssim(images, reference)
    assert all(type(value) is float for breakdown in full for value in breakdown.metrics.values())


def test_linear_fidelity_is_configured() -> None:
    images, reference = images_and_reference(2)
    (_, breakdown) = Scorer(RewardConfig(fidelity="linear")).score(images, reference)
    assert breakdown.reward == -breakdown.metrics["lpips"]


def test_sizes_that_differ_are_refused(scorer: Scorer) -> None:
    images, reference = images_and_reference(2)
    with pytest.raises(BadInputError, match="make the reference again"):
        scorer.score(images, reference[:, :32])


def test_a_metric_that_is_not_a_number_never_becomes_a_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    images, reference = images_and_reference(2)
    scorer = Scorer(RewardConfig(fidelity="log"))
    monkeypatch.setattr(LpipsMetric, "__call__", lambda *_: [0.1, float("nan")])
    with pytest.raises(RunFailedError, match="metric lpips of sibling 1 is nan"):
        scorer.score(images, reference)
