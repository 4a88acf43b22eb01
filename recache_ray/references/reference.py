"""A reference: the uncached generation of one request. Shapes: F frames, H height, W width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recache_ray.types import GenerationRequest


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """What a cached generation of the same request is compared with, and what it starts from.

    Attributes:
        request: the prompt and noise seed it was made from.
        image: uint8 [F, H, W, 3]; F = 1 for a still image.
        embeddings: the prompt embeddings by name, unbatched CPU tensors.

    Raises:
        ValueError: if the image is not uint8 of that shape.
    """

    request: GenerationRequest
    image: NDArray[np.uint8]
    embeddings: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 4 or self.image.shape[-1] != 3 or 0 in self.image.shape:
            raise ValueError(f"reference image is {self.image.dtype} {self.image.shape}; must be uint8 [F, H, W, 3]")
