"""The measures gates share. They wait for the device: a gate cannot decide before the numbers are there."""

from __future__ import annotations

import math

from torch import Tensor


def mean_abs(tensor: Tensor) -> float:
    """``mean|tensor|``, in the tensor's dtype."""
    return float(tensor.abs().mean())


def relative_l1(new: Tensor, old: Tensor) -> float:
    """``mean|new - old| / mean|old|``; infinite where ``old`` is zero everywhere, so that the step is computed."""
    return ratio(mean_abs(new - old), mean_abs(old))


def ratio(change: float, scale: float) -> float:
    """``change / scale``, infinite for a scale of zero."""
    return change / scale if scale else math.inf
