"""Reuse: a cached step repeats the residual of the last computed step (FORA, arXiv 2407.01425, on the whole stack)."""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory


class Reuse:
    """Zeroth order: the newest residual, unchanged."""

    id = "reuse"

    def reset(self) -> FeatureHistory:
        """The empty history."""
        return FeatureHistory()

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """Remember ``feature`` [B, N, D] and nothing older."""
        return FeatureHistory(steps=(step,), factors=(feature,))

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """The newest residual [B, N, D]; the tensor itself, not a copy."""
        return history.factors[0]
