"""How LPIPS becomes the fidelity part of the reward."""

from __future__ import annotations

import math

LPIPS_FLOOR = 1e-6
"""Below this a cached generation counts as identical to its reference, which bounds the log reward by 13.8.

With seeded weights, every value of an image being off by one level of 256 measures 3e-4 or more.
"""


def fidelity_reward(lpips: float, kind: str) -> float:
    """The fidelity term of an LPIPS.

    ``log``: -ln(max(LPIPS, floor)), so that halving the error earns the same at every budget; ``linear``: -LPIPS;
    ``none``: 0, which leaves the quality term alone.
    """
    if kind == "none":
        return 0.0
    return -math.log(max(lpips, LPIPS_FLOOR)) if kind == "log" else -lpips
