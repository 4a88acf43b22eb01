"""The reward: finite, monotone in LPIPS, and made of the metrics it reports."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recache_ray.config.reward import RewardConfig
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import psnr, ssim
from recache_ray.rewards.fidelity import LPIPS_FLOOR, fidelity_reward
from recache_ray.rewards.frames import scored_frames
from recache_ray.rewards.scorer import Scorer

PROMPT = "a small red star"


class Brightness:
    """A quality model: the share of light in a frame; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], str]] = []

    def __call__(self, frames: NDArray[np.uint8], prompt: str) -> list[float]:
        self.asked.append((frames.shape, prompt))
        return [float(frame.mean()) / 255 for frame in frames]


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
    scored = scorer.score(images, reference, PROMPT)
    rewards = [breakdown.reward for breakdown in scored]
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[0] == pytest.approx(0.0, abs=1e-9)  # the first sibling is the reference itself
    assert [set(breakdown.metrics) for breakdown in scored] == [{"lpips"}] * 5
    assert rewards == [fidelity_reward(breakdown.metrics["lpips"], RewardConfig().fidelity) for breakdown in scored]
    reversed_rewards = [breakdown.reward for breakdown in scorer.score(images[::-1], reference, PROMPT)]
    assert reversed_rewards == pytest.approx(rewards[::-1], rel=1e-4)


def test_all_metrics_adds_psnr_and_ssim_without_changing_the_reward(scorer: Scorer) -> None:
    images, reference = images_and_reference(3)
    plain, full = scorer.score(images, reference, PROMPT), scorer.score(images, reference, PROMPT, all_metrics=True)
    assert [breakdown.reward for breakdown in full] == [breakdown.reward for breakdown in plain]
    assert [breakdown.metrics["psnr"] for breakdown in full] == psnr(images, reference)
    assert [breakdown.metrics["ssim"] for breakdown in full] == ssim(images, reference)
    assert all(type(value) is float for breakdown in full for value in breakdown.metrics.values())


def test_linear_fidelity_is_configured() -> None:
    images, reference = images_and_reference(2)
    (_, breakdown) = Scorer(RewardConfig(fidelity="linear")).score(images, reference, PROMPT)
    assert breakdown.reward == -breakdown.metrics["lpips"]


def test_sizes_that_differ_are_refused(scorer: Scorer) -> None:
    images, reference = images_and_reference(2)
    with pytest.raises(BadInputError, match="make the reference again"):
        scorer.score(images, reference[:, :32], PROMPT)


def test_a_metric_that_is_not_a_number_never_becomes_a_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    images, reference = images_and_reference(2)
    scorer = Scorer(RewardConfig(fidelity="log"))
    monkeypatch.setattr(LpipsMetric, "__call__", lambda *_: [0.1, float("nan")])
    with pytest.raises(RunFailedError, match="metric lpips of sibling 1 is nan"):
        scorer.score(images, reference, PROMPT)


def test_alpha_weighs_the_quality_gained_on_the_reference_and_both_terms_are_kept_apart() -> None:
    images, reference = images_and_reference(4)
    quality = Brightness()
    scored = Scorer(RewardConfig(alpha=7.0), quality=quality).score(images, reference, PROMPT)
    for image, breakdown in zip(images, scored, strict=True):
        metrics = breakdown.metrics
        assert metrics["quality"] == pytest.approx(image.mean() / 255)
        assert metrics["quality_reference"] == pytest.approx(reference.mean() / 255)
        gained = metrics["quality"] - metrics["quality_reference"]
        assert breakdown.reward == pytest.approx(-metrics["lpips"] + 7.0 * gained)
    assert scored[0].reward == pytest.approx(0.0, abs=1e-9)  # the reference itself
    assert quality.asked == [((5, 64, 64, 3), PROMPT)]  # one batch, the reference in it


def test_at_alpha_0_quality_is_measured_and_does_not_count_and_without_fidelity_it_counts_alone() -> None:
    images, reference = images_and_reference(3)
    for row in Scorer(RewardConfig(), quality=Brightness()).score(images, reference, PROMPT):
        assert row.reward == -row.metrics["lpips"] and "quality" in row.metrics
    for row in Scorer(RewardConfig(alpha=2.0, fidelity="none"), quality=Brightness()).score(images, reference, PROMPT):
        assert row.reward == pytest.approx(2 * (row.metrics["quality"] - row.metrics["quality_reference"]))


def test_a_video_is_scored_on_evenly_spaced_frames_and_measured_on_all() -> None:
    generator = np.random.default_rng(0)
    reference = generator.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    video = reference.copy()[None]
    video[0, 1] = video[0, 3] = 0  # frames that three evenly spaced ones leave out
    quality = Brightness()
    (row,) = Scorer(RewardConfig(frames=3, alpha=1.0), quality=quality).score(
        video, reference, PROMPT, all_metrics=True
    )
    assert row.metrics["lpips"] == pytest.approx(0.0, abs=1e-9)
    assert row.metrics["quality"] == pytest.approx(row.metrics["quality_reference"])
    assert quality.asked[0][0] == (6, 64, 64, 3)
    assert row.metrics["psnr"] < 100
    with pytest.raises(BadInputError, match=r"reward\.frames = 6: the generation has 5; must be at most 5") as caught:
        Scorer(RewardConfig(frames=6)).score(video, reference, PROMPT)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 200), st.integers(1, 200))
def test_scored_frames_are_distinct_ascending_and_span_the_video(num_frames: int, wanted: int) -> None:
    if wanted > num_frames:
        with pytest.raises(BadInputError):
            scored_frames(num_frames, wanted)
        return
    frames = scored_frames(num_frames, wanted)
    assert len(set(frames)) == wanted and frames == sorted(frames)
    assert frames[0] >= 0 and frames[-1] < num_frames
    if wanted > 1:
        assert (frames[0], frames[-1]) == (0, num_frames - 1)


def test_the_convention_of_psnr_and_ssim_is_configured() -> None:
    images, reference = images_and_reference(2)
    (_, row) = Scorer(RewardConfig(video_convention="whole_video")).score(images, reference, PROMPT, all_metrics=True)
    assert row.metrics["ssim"] == ssim(images, reference, "whole_video")[1]
    assert row.metrics["ssim"] != ssim(images, reference)[1]
