"""DiCache's trajectory alignment (arXiv 2508.17356): a shallow probe says how far along two residuals are.

Shapes: B batch rows, N image tokens, D features.
"""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.gates.change import mean_abs, ratio
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory

MOST_AHEAD = 1.5
"""Upper end of gamma for images, as the authors have it; the lower end is 1, the newest residual."""


class TwoAnchor:
    """Moves from the older of two computed residuals through the newer by as much as the first block's moved.

    With r the stack's residual and p the first block's, newest computed step 1 and the one before 2, the forecast is
    ``r2 + gamma (r1 - r2)`` with ``gamma = mean|p - p2| / mean|p1 - p2|`` between 1 and 1.5. One computed step gives
    reuse. It needs p at the cached step as well, so the first block runs at every step.
    """

    id = "dcta"

    def reset(self) -> FeatureHistory:
        """The empty history."""
        return FeatureHistory()

    def update(self, history: FeatureHistory, step: int, feature: Tensor, probe: Tensor) -> FeatureHistory:
        """The history after computing ``step``, with its residual and its first block's residual, both [B, N, D]."""
        return FeatureHistory(steps=(step, *history.steps[:1]), factors=(feature, probe, *history.factors[:2]))

    def predict(self, history: FeatureHistory, probe: Tensor) -> Tensor:
        """Forecast [B, N, D] at the step at which the first block's residual is ``probe`` [B, N, D]."""
        if len(history.steps) == 1:
            return history.factors[0]
        newest, newest_probe, older, older_probe = history.factors
        moved = ratio(mean_abs(probe - older_probe), mean_abs(newest_probe - older_probe))
        return older + min(max(moved, 1.0), MOST_AHEAD) * (newest - older)


class ScheduledTwoAnchor:
    """:class:`TwoAnchor` under a schedule, where residuals and probes are remembered apart, two of each."""

    id = TwoAnchor.id

    def reset(self) -> FeatureHistory:
        """The empty history, of residuals or of probes."""
        return FeatureHistory()

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """The history after computing ``step``, with its residual or its probe [B, N, D]."""
        return FeatureHistory(steps=(step, *history.steps[:1]), factors=(feature, *history.factors[:1]))

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """The newest of a history [B, N, D], which is all there is to say without a probe of ``step``."""
        return history.factors[0]

    def predict_along(self, residuals: FeatureHistory, probes: FeatureHistory, probe: Tensor) -> Tensor:
        """Forecast [B, N, D] at the step at which the first block's residual is ``probe`` [B, N, D]."""
        pairs = zip(residuals.factors, probes.factors, strict=True)
        merged = FeatureHistory(residuals.steps, tuple(factor for pair in pairs for factor in pair))
        return TwoAnchor().predict(merged, probe)


GatedMechanism = CachingMechanism | TwoAnchor
"""What a cached step may do under a gate, where the first block's output is at hand."""
