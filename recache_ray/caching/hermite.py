"""HiCache (arXiv 2508.16984): TaylorSeer's differences under a basis of scaled Hermite polynomials."""

from __future__ import annotations

import torch
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.taylor import TaylorSeer

CONTRACTION = 0.5
"""Sigma, the paper's default and best in its ablation; it belongs to a distance measured in steps."""


class HiCache(TaylorSeer):
    """Forecasts ``D(0) + sum of D(i) h(i, x) / i!`` with ``h(i, x) = sigma^i H_i(sigma x)``, H the physicists' Hermite.

    At sigma 0.5, ``h(1, x) = x / 2`` and ``h(2, x) = x^2 / 4 - 1/2``: long extrapolations are damped, at the price of
    a bias that does not vanish at x = 0. One computed step gives reuse, two give half of TaylorSeer's slope; it is
    exact for residuals that do not change, whatever the order.

    Args:
        order: highest difference used; the first forecasts use as many as there are computed steps before.
    """

    def __init__(self, order: int = 2) -> None:
        super().__init__(order)
        self.id = f"hermite{order}"

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """Forecast [B, N, D] at ``step``."""
        distance = step - history.steps[0]
        forecast = history.factors[0]
        factorial = 1
        before, value = 0.0, 1.0
        for order, factor in enumerate(history.factors[1:], start=1):
            # H(n+1) = 2 x H(n) - 2 n H(n-1), both sides times sigma^(n+1)
            scaled = 2 * CONTRACTION**2
            before, value = value, scaled * (distance * value - (order - 1) * before)
            factorial *= order
            forecast = torch.add(forecast, factor, alpha=value / factorial)
        return forecast
