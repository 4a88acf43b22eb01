"""The image convention every metric shares. Shapes: M siblings, F frames, H height, W width."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recache_ray.errors import BadInputError


def check_sizes(images: NDArray[np.uint8], reference: NDArray[np.uint8]) -> None:
    """Require uint8 ``images`` [M, F, H, W, 3] and ``reference`` [F, H, W, 3] of the same F, H, W.

    Raises:
        BadInputError: naming both shapes.
    """
    if images.dtype != np.uint8 or reference.dtype != np.uint8:
        raise BadInputError(f"images are {images.dtype}, reference is {reference.dtype}; metrics take uint8")
    if images.ndim != 5 or reference.ndim != 4 or images.shape[1:] != reference.shape or reference.shape[-1] != 3:
        raise BadInputError(
            f"images have shape {images.shape}, reference has {reference.shape}; must be [M, F, H, W, 3] and "
            "[F, H, W, 3] of the same size; make the reference again with the same height, width and frames"
        )


def to_unit(frames: NDArray[np.uint8]) -> Tensor:
    """uint8 [..., H, W, 3] to float32 [..., 3, H, W] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3).float().div_(255)
