"""DiCache (arXiv 2508.17356): a shallow probe measures the change, and the generation decides for itself."""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.gates.change import relative_l1
from recache_ray.caching.gates.gate import StepSignals


class DiCache:
    """Adds up the relative change of the first block's output from step to step; computes at a bound of the sum.

    The probe depth is 1 and the error the paper's ``delta_y``. Every step runs the first block; a computed step goes
    on from it. The last step is always computed.

    Args:
        threshold: bound of the sum, which starts anew after each computed step.
        num_steps: T.
        warm_steps: first steps always computed; the authors' ``int(ret_ratio T) + 1``.
    """

    def __init__(self, threshold: float, num_steps: int, warm_steps: int = 1) -> None:
        self._threshold = threshold
        self._last = num_steps - 1
        self._warm_steps = warm_steps
        self.reset()

    def reset(self) -> None:
        """Forget the generation."""
        self._previous: Tensor | None = None
        self._accumulated = 0.0

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Whether ``step`` is computed."""
        previous, self._previous = self._previous, signals.probe_out
        if previous is not None and self._warm_steps <= step != self._last:
            self._accumulated += relative_l1(self._previous, previous)
            if self._accumulated < self._threshold:
                return False
        self._accumulated = 0.0
        return True
