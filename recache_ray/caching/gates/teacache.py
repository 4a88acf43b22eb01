"""TeaCache (arXiv 2411.19108): the change of the timestep-modulated input foretells the change of the output."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from recache_ray.caching.gates.change import relative_l1
from recache_ray.caching.gates.gate import StepSignals
from recache_ray.errors import BadInputError


class TeaCache:
    """Adds up the polynomial of the input's relative change from step to step; computes where the sum reaches a bound.

    The first ``warm_steps`` and the last step are always computed. Negative values of the polynomial, which has no
    meaning below zero, count as 0.

    Args:
        threshold: bound of the sum, which starts anew after each computed step.
        num_steps: T.
        polynomial: coefficients, highest power first.
        warm_steps: first steps always computed.
    """

    def __init__(self, threshold: float, num_steps: int, polynomial: Sequence[float], warm_steps: int = 1) -> None:
        self._threshold = threshold
        self._last = num_steps - 1
        self._polynomial = tuple(polynomial)
        self._warm_steps = warm_steps
        self.reset()

    def reset(self) -> None:
        """Forget the generation."""
        self._previous: Tensor | None = None
        self._accumulated = 0.0

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Whether ``step`` is computed."""
        previous, self._previous = self._previous, signals.modulated
        if previous is not None and self._warm_steps <= step != self._last:
            self._accumulated += self._rescaled(relative_l1(self._previous, previous))
            if self._accumulated < self._threshold:
                return False
        self._accumulated = 0.0
        return True

    def _rescaled(self, change: float) -> float:
        return max(0.0, float(np.polyval(self._polynomial, change))) if math.isfinite(change) else math.inf


def fit_polynomial(
    input_changes: Sequence[float], output_changes: Sequence[float], degree: int = 4
) -> tuple[float, ...]:
    """Fit the output's relative change to the input's by least squares (equation 6 of the paper).

    Args:
        input_changes: relative L1 change of the modulated input between consecutive steps of uncached generations.
        output_changes: relative L1 change of the model's output at the same steps.
        degree: of the polynomial; the paper takes 4.

    Returns:
        ``degree + 1`` coefficients, highest power first.

    Raises:
        BadInputError: if the lengths differ, a value is not finite, or there are fewer distinct inputs than
            coefficients.
    """
    inputs, outputs = np.asarray(input_changes, dtype=np.float64), np.asarray(output_changes, dtype=np.float64)
    if inputs.shape != outputs.shape or not (np.isfinite(inputs).all() and np.isfinite(outputs).all()):
        raise BadInputError(
            f"TeaCache's polynomial: {inputs.size} input and {outputs.size} output changes; "
            "must be as many, and all finite"
        )
    distinct = np.unique(inputs).size
    if distinct <= degree:
        raise BadInputError(
            f"TeaCache's polynomial: {distinct} distinct input changes for degree {degree}; "
            "record more steps or lower the degree"
        )
    return tuple(float(coefficient) for coefficient in np.polyfit(inputs, outputs, degree))
