"""What an engine answers; read without torch, by the process that speaks HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class DrawnPicture:
    """One picture.

    Attributes:
        image: [H, W, 3] uint8.
        computed_steps: counted while it was drawn.
        seconds: of the batch it was drawn in, text encoding excluded.
        batch: pictures in that batch.
    """

    image: npt.NDArray[np.uint8]
    computed_steps: int
    seconds: float
    batch: int
