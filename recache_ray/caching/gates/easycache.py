"""EasyCache (arXiv 2507.02860): input and output change in a ratio that stays nearly constant for a while."""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.gates.change import mean_abs, ratio
from recache_ray.caching.gates.gate import StepSignals


class EasyCache:
    """Foretells the output's relative change from the latents' change and the ratio at the last two computed steps.

    With x the latents and v the output, ``K = mean|dv| / mean|dx|`` between the last two computed steps. Each step
    adds ``K mean|x - x of the step before| / mean|v|``, v being that of the newest computed step, and is cached while
    the sum stays below the threshold. Two steps must be computed before there is a ratio; the last one always is.

    Args:
        threshold: bound of the sum, which starts anew after each computed step.
        num_steps: T.
        warm_steps: first steps always computed.
    """

    def __init__(self, threshold: float, num_steps: int, warm_steps: int = 2) -> None:
        self._threshold = threshold
        self._last = num_steps - 1
        self._warm_steps = warm_steps
        self.reset()

    def reset(self) -> None:
        """Forget the generation."""
        self._before: Tensor | None = None  # latents of the step before
        self._unanswered: Tensor | None = None  # latents of the newest computed step while its output is not known
        self._anchor: tuple[Tensor, Tensor] | None = None  # latents and output of the newest one whose output is
        self._rate: float | None = None
        self._accumulated = 0.0

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Whether ``step`` is computed."""
        self._learn(signals.velocity)
        before, self._before = self._before, signals.latents
        if before is not None and self._anchor is not None and self._rate is not None and self._may_skip(step):
            change = self._rate * mean_abs(signals.latents - before)
            self._accumulated += ratio(change, mean_abs(self._anchor[1]))
            if self._accumulated < self._threshold:
                return False
        self._accumulated = 0.0
        self._unanswered = signals.latents
        return True

    def _may_skip(self, step: int) -> bool:
        return self._warm_steps <= step != self._last

    def _learn(self, velocity: Tensor | None) -> None:
        """Take in the output of the newest computed step, which was not there when that step was decided."""
        if self._unanswered is None or velocity is None:
            return
        if self._anchor is not None:
            latents, output = self._anchor
            self._rate = ratio(mean_abs(velocity - output), mean_abs(self._unanswered - latents))
        self._anchor, self._unanswered = (self._unanswered, velocity), None
