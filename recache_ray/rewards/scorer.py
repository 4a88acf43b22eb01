"""Scores cached generations against their reference. Shapes: M siblings, F frames, H height, W width."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recache_ray.config.reward import RewardConfig
from recache_ray.errors import RunFailedError
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import psnr, ssim
from recache_ray.metrics.quality.scorer import QualityScorer
from recache_ray.rewards.fidelity import fidelity_reward
from recache_ray.rewards.frames import scored_frames
from recache_ray.types import RewardBreakdown


class Scorer:
    """The reward as configured: fidelity + alpha * (quality - quality of the reference).

    The reference's quality is the same for every schedule of a prompt and noise. Subtracting it changes no comparison,
    spares the learner the differences between prompts, and makes 0 the reward of the uncached generation.

    Example: ``Scorer(RewardConfig()).score(images, reference.image, "a small red star")``.

    Args:
        section: networks, weights and the weight alpha.
        device: where to compute.
        quality: the quality model; None leaves the second term out.
    """

    def __init__(self, section: RewardConfig, device: str = "cpu", quality: QualityScorer | None = None) -> None:
        self._lpips = LpipsMetric(section.lpips_net, section.lpips_weights, device=device)
        self._section = section
        self._quality = quality

    def score(
        self,
        images: NDArray[np.uint8],
        reference_image: NDArray[np.uint8],
        prompt: str,
        all_metrics: bool = False,
    ) -> list[RewardBreakdown]:
        """One breakdown per sibling, in order.

        ``metrics`` holds ``lpips``; with a quality model ``quality`` and ``quality_reference``, the same of the
        reference; if asked, ``psnr`` and ``ssim``, which always look at every frame.

        Args:
            images: uint8 [M, F, H, W, 3].
            reference_image: uint8 [F, H, W, 3].
            prompt: what the pictures should show.
            all_metrics: also measure what only evaluation needs.

        Raises:
            BadInputError: if the images and the reference differ in size, or have too few frames.
            RunFailedError: if a metric is not finite.
        """
        frames = scored_frames(len(reference_image), self._section.frames)
        chosen, reference = images[:, frames], reference_image[frames]
        measured = {"lpips": self._lpips(chosen, reference)}
        if self._quality is not None:
            *siblings, uncached = self._qualities(self._quality, chosen, reference, prompt)
            measured |= {"quality": siblings, "quality_reference": [uncached] * len(siblings)}
        if all_metrics:
            convention = self._section.video_convention
            measured["psnr"] = psnr(images, reference_image, convention)
            measured["ssim"] = ssim(images, reference_image, convention)
        rows = [dict(zip(measured, values, strict=True)) for values in zip(*measured.values(), strict=True)]
        for sibling, row in enumerate(rows):
            for name, value in row.items():
                if not math.isfinite(value):
                    raise RunFailedError(f"metric {name} of sibling {sibling} is {value}; must be finite")
        return [RewardBreakdown(self._reward(row), row) for row in rows]

    def _qualities(
        self, quality: QualityScorer, images: NDArray[np.uint8], reference: NDArray[np.uint8], prompt: str
    ) -> list[float]:
        """Mean quality over the frames of each sibling, then of the reference."""
        stacked = np.concatenate([images, reference[None]])
        scores = quality(stacked.reshape(-1, *stacked.shape[2:]), prompt)
        return [float(mean) for mean in np.array(scores).reshape(stacked.shape[:2]).mean(axis=1)]

    def _reward(self, row: dict[str, float]) -> float:
        reward = fidelity_reward(row["lpips"], self._section.fidelity)
        if self._quality is not None:
            reward += self._section.alpha * (row["quality"] - row["quality_reference"])
        return reward
