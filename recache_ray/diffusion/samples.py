"""From what a pipeline returns to uint8 frames, and the ways in which that is not a sample.

Shapes: M siblings, F frames (1 for images), H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recache_ray.diffusion.adapter import BlankGenerationError, NonFiniteGenerationError
from recache_ray.schedules import Schedule


def frames_of(output: Any) -> npt.NDArray[np.float32]:
    """The float samples [M, F, H, W, 3] in 0..1 of a pipeline output made with ``output_type="np"``."""
    frames = output.frames if hasattr(output, "frames") else output.images[:, None]
    return np.asarray(frames)


def quantise(samples: npt.NDArray[np.float32], schedules: Sequence[Schedule], noise_seed: int) -> npt.NDArray[np.uint8]:
    """Samples [M, F, H, W, 3] in 0..1, one per schedule, as diffusers quantises PIL images.

    Raises:
        NonFiniteGenerationError: naming the schedules whose sample holds NaN or infinity.
        BlankGenerationError: naming the full schedules whose sample is one colour in every frame. What cached steps
            spoil is left to the reward.
    """
    failed = [s for s, sample in zip(schedules, samples, strict=True) if not np.isfinite(sample).all()]
    if failed:
        raise NonFiniteGenerationError(failed, noise_seed)
    images = (samples * 255).round().astype(np.uint8)
    blank = [s for s, sample in zip(schedules, images, strict=True) if s.budget == s.num_steps and _is_blank(sample)]
    if blank:
        raise BlankGenerationError(blank, noise_seed)
    return images


def _is_blank(sample: npt.NDArray[np.uint8]) -> bool:
    return bool((sample == sample[:, :1, :1]).all())
