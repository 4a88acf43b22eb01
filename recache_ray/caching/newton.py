"""Newton's divided differences: the interpolating polynomial of the last computed steps, for any gaps between them."""

from __future__ import annotations

import torch
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory


class Newton:
    """Extrapolates the polynomial of degree ``order`` through the last ``order + 1`` computed steps.

    Exact for residuals that are polynomials of that degree in the step, however uneven the gaps; where TaylorSeer's
    recursion is biased, this is not, at the price of amplifying noise more over long gaps.

    Args:
        order: degree; the first forecasts use as many computed steps as there are.
    """

    def __init__(self, order: int = 1) -> None:
        self.order = order
        self.id = f"newton{order}"

    def reset(self) -> FeatureHistory:
        """The empty history."""
        return FeatureHistory()

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """Divided differences F[s0], F[s0, s1], ... over the computed steps, newest first; each [B, N, D]."""
        steps = (step, *history.steps[: self.order])
        factors = [feature]
        for older_step, older in zip(steps[1:], history.factors, strict=False):
            factors.append((factors[-1] - older).div_(step - older_step))
        return FeatureHistory(steps=steps, factors=tuple(factors))

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """The polynomial's value [B, N, D] at ``step``."""
        forecast = history.factors[0]
        weight = 1.0
        for anchor, factor in zip(history.steps, history.factors[1:], strict=False):
            weight *= step - anchor
            forecast = torch.add(forecast, factor, alpha=weight)
        return forecast
