"""From frames to what a CLIP-like tower takes. Shapes: N frames, H height, W width, S side of the tower's picture."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, resize

from recache_ray.metrics.frames import to_unit


def fit_longest_side(frames: NDArray[np.uint8], side: int) -> Tensor:
    """HPSv2's preparation: the longer side becomes ``side``, black fills the rest; float32 [N, 3, S, S] in 0..1.

    Bicubic with antialiasing, which the package leaves to torchvision's default; its present default is the same.
    """
    pixels = to_unit(frames)
    height, width = pixels.shape[-2:]
    scale = side / max(height, width)
    if scale != 1.0:
        size = [max(1, round(height * scale)), max(1, round(width * scale))]
        pixels = resize(pixels, size, InterpolationMode.BICUBIC, antialias=True)
    across, down = side - pixels.shape[-1], side - pixels.shape[-2]
    return F.pad(pixels, (across // 2, across - across // 2, down // 2, down - down // 2))
