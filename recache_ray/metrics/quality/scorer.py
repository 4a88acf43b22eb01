"""What every quality model looks like to the reward."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class QualityScorer(Protocol):
    """Judges pictures of one prompt; loaded once per worker."""

    def __call__(self, frames: NDArray[np.uint8], prompt: str) -> list[float]:
        """One score per frame, higher is better.

        Args:
            frames: uint8 [N, H, W, 3].
            prompt: what they should show.

        Raises:
            RunFailedError: if the model cannot answer.
        """
        ...
