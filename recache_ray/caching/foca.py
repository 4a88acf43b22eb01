"""FoCa (arXiv 2508.16211): the residual as the solution of an ODE, forecast by BDF2 and corrected by Heun's rule."""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.newton import Newton


class FoCa(Newton):
    """One step of length h from the newest computed step, g after the one before, with w = h / g.

    BDF2 with a variable step forecasts ``P = F0 + (w^2 (F0 - F1) + h (1 + w) f) / (1 + 2 w)``, at w = 1 the published
    ``4/3 F0 - 1/3 F1 + 2h/3 f``. Heun's rule goes again from F0 with the mean of both ends' slopes,
    ``F0 + h/2 (f + (P - F0) / h)``.
    The paper leaves the slope f open; here it is that of the parabola through the last three computed steps at the
    newest one. With the divided differences D of Newton's form this makes
    ``F0 + h D1 + h g D2 (2 + 3 w) / (2 + 4 w)``: the second difference acts in proportion to h, where a parabola's
    would grow with its square, so long gaps are extrapolated along a line.

    Exact for residuals linear in the step. One computed step gives reuse, two give the line through both.
    """

    def __init__(self) -> None:
        super().__init__(order=2)
        self.id = "foca"

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """Forecast [B, N, D] at ``step``."""
        distance = step - history.steps[0]
        if len(history.factors) < 3:
            return super().predict(history, step)
        newest, slope, curvature = history.factors
        gap = history.steps[0] - history.steps[1]
        share = distance / gap
        weight = distance * gap * (2 + 3 * share) / (2 + 4 * share)
        return newest.add(slope, alpha=distance).add_(curvature, alpha=weight)
