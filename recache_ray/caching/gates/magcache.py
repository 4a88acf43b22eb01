"""MagCache (arXiv 2506.09045): the residual's magnitude falls in a way that hardly depends on the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from recache_ray.caching.gates.gate import StepSignals


class MagCache:
    """Multiplies calibrated magnitude ratios while steps are cached and computes where their error adds up.

    It looks at no tensor, so its decisions are the same for every prompt.

    Args:
        threshold: most accumulated ``|1 - product of ratios|``.
        ratios: of the residual's norm at each step to that at the step before, one per step of the model's T; the
            first is not used.
        max_skips: K, most cached steps in a row.
        warm_steps: first steps always computed, at least 1.
    """

    def __init__(self, threshold: float, ratios: Sequence[float], max_skips: int = 5, warm_steps: int = 1) -> None:
        self._threshold = threshold
        self._ratios = tuple(ratios)
        self._max_skips = max_skips
        self._warm_steps = max(1, warm_steps)
        self.reset()

    def reset(self) -> None:
        """Forget the generation."""
        self._ratio, self._error, self._skipped = 1.0, 0.0, 0

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Whether ``step`` is computed."""
        if step >= self._warm_steps:
            self._ratio *= self._ratios[step]
            self._error += abs(1 - self._ratio)
            self._skipped += 1
            if self._error <= self._threshold and self._skipped <= self._max_skips:
                return False
        self.reset()
        return True
