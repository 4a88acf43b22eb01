"""Scores cached generations against their reference. Shapes: M siblings, F frames, H height, W width."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recache_ray.config.sections import RewardConfig
from recache_ray.errors import RunFailedError
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import psnr, ssim
from recache_ray.rewards.fidelity import fidelity_reward
from recache_ray.types import RewardBreakdown


class Scorer:
    """The reward as configured. Example: ``Scorer(RewardConfig()).score(images, reference.image)``."""

    def __init__(self, section: RewardConfig, device: str = "cpu") -> None:
        self._lpips = LpipsMetric(section.lpips_net, section.lpips_weights, device=device)
        self._fidelity = section.fidelity

    def score(
        self, images: NDArray[np.uint8], reference_image: NDArray[np.uint8], all_metrics: bool = False
    ) -> list[RewardBreakdown]:
        """One breakdown per sibling, in order; ``metrics`` holds ``lpips``, and ``psnr``, ``ssim`` if asked.

        Args:
            images: uint8 [M, F, H, W, 3].
            reference_image: uint8 [F, H, W, 3].
            all_metrics: also measure what only evaluation needs.

        Raises:
            BadInputError: if the images and the reference differ in size.
            RunFailedError: if a metric is not finite.
        """
        measured = {"lpips": self._lpips(images, reference_image)}
        if all_metrics:
            measured["psnr"] = psnr(images, reference_image)
            measured["ssim"] = ssim(images, reference_image)
        rows = [dict(zip(measured, values, strict=True)) for values in zip(*measured.values(), strict=True)]
        for sibling, row in enumerate(rows):
            for name, value in row.items():
                if not math.isfinite(value):
                    raise RunFailedError(f"metric {name} of sibling {sibling} is {value}; must be finite")
        return [RewardBreakdown(fidelity_reward(row["lpips"], self._fidelity), row) for row in rows]
