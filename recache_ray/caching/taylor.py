"""TaylorSeer (arXiv 2503.06923): forecast the residual by a Taylor series in the step index."""

from __future__ import annotations

import torch
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory


class TaylorSeer:
    """The published recursion, also where gaps are uneven.

    With g the distance to the previous computed step, ``D0 = F`` and ``D(i+1) = (D(i) - D(i) before) / g``; at
    distance x from the newest computed step the forecast is the sum of ``D(i) x^i / i!``. Every difference is divided
    by the newest gap only, so the series is not exact for polynomials: :class:`~recache_ray.caching.newton.Newton` is.

    Args:
        order: highest difference used; the first forecasts use as many as there are computed steps before.
    """

    def __init__(self, order: int = 1) -> None:
        self.order = order
        self.id = f"taylor{order}"

    def reset(self) -> FeatureHistory:
        """The empty history."""
        return FeatureHistory()

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """Differences D0..Dm after computing ``step``; ``feature`` and each factor are [B, N, D]."""
        factors = [feature]
        if history.steps:
            gap = step - history.steps[0]
            for older in history.factors[: self.order]:
                factors.append((factors[-1] - older).div_(gap))
        return FeatureHistory(steps=(step,), factors=tuple(factors))

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """Forecast [B, N, D] at ``step``."""
        distance = step - history.steps[0]
        forecast = history.factors[0]
        weight = 1.0
        for order, factor in enumerate(history.factors[1:], start=1):
            weight *= distance / order
            forecast = torch.add(forecast, factor, alpha=weight)
        return forecast
