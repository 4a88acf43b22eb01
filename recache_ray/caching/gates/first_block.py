"""First-block cache (ParaAttention; ``FirstBlockCacheConfig`` of diffusers): the first block speaks for the others."""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.gates.change import relative_l1
from recache_ray.caching.gates.gate import StepSignals


class FirstBlockCache:
    """Caches while the first block's residual is near that of the newest computed step.

    Nothing is accumulated, and the residual compared with changes at computed steps alone. Every step runs the first
    block.

    Args:
        threshold: bound of the relative L1 change.
        warm_steps: first steps always computed, at least 1.
    """

    def __init__(self, threshold: float, warm_steps: int = 1) -> None:
        self._threshold = threshold
        self._warm_steps = warm_steps
        self.reset()

    def reset(self) -> None:
        """Forget the generation."""
        self._computed: Tensor | None = None

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Whether ``step`` is computed."""
        residual = signals.probe_out - signals.probe_in
        if (
            self._computed is not None
            and step >= self._warm_steps
            and relative_l1(residual, self._computed) < self._threshold
        ):
            return False
        self._computed = residual
        return True
