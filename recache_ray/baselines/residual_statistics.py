"""Calibration averaged over requests: what the residuals of uncached generations say about caching each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recache_ray.types import CalibrationReport


@dataclass(frozen=True, eq=False)
class ResidualStatistics:
    """Means over the calibrated requests, see :mod:`recache_ray.caching.residual_errors`.

    Attributes:
        magnitude_ratios: [T], MagCache's gamma.
        reuse_errors: [T, T], SmoothCache's relative errors.
        forecast_errors: [T, T, T], DPCache's errors of one mechanism.
    """

    magnitude_ratios: NDArray[np.float64]
    reuse_errors: NDArray[np.float64]
    forecast_errors: NDArray[np.float64]

    @classmethod
    def mean(cls, reports: Sequence[CalibrationReport]) -> ResidualStatistics:
        """The mean of reports of one model, T and mechanism, at least one."""
        num_steps = reports[0].num_steps
        return cls(
            magnitude_ratios=np.mean([report.magnitude_ratios for report in reports], axis=0),
            reuse_errors=_mean([report.reuse_errors for report in reports], (num_steps,) * 2),
            forecast_errors=_mean([report.forecast_errors for report in reports], (num_steps,) * 3),
        )


def _mean(parts: Sequence[bytes], shape: tuple[int, ...]) -> NDArray[np.float64]:
    total = np.zeros(shape)
    for part in parts:
        total += np.frombuffer(part, dtype="<f4").reshape(shape)
    return total / len(parts)
