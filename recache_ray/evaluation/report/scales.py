"""From values to positions: linear, logarithmic, and logarithmic in the distance to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels; values beyond the ends land on them.

    Attributes:
        low, high: values at the two ends.
        start, end: their pixels.
        transform: applied before interpolating; increasing.
        ticks: values worth a label, within the ends.
        text: writes such a value.
    """

    low: float
    high: float
    start: float
    end: float
    transform: Callable[[float], float]
    ticks: tuple[float, ...]
    text: Callable[[float], str]

    def __call__(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        first, last = self.transform(self.low), self.transform(self.high)
        share = (self.transform(value) - first) / (last - first) if last > first else 0.5
        return self.start + share * (self.end - self.start)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Ticks at round multiples, about five of them."""
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    raw = (high - low) / 5
    power = 10 ** math.floor(math.log10(raw))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda candidate: abs(candidate - raw))
    ticks = tuple(i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
    return Scale(low, high, start, end, lambda value: value, ticks, lambda value: f"{value:.6g}")


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Ticks at 1, 2 and 5 times the powers of ten; the powers alone where those are many. Both ends above 0."""
    ticks = _log_ticks(low, high)
    return Scale(low, high, start, end, math.log10, ticks, lambda value: f"{value:.6g}")


def toward_one(low: float, high: float, start: float, end: float) -> Scale:
    """Equal distances for 0.9, 0.99, 0.999: logarithmic in 1 - value. Both ends below 1."""
    ticks = tuple(sorted(1 - distance for distance in _log_ticks(1 - high, 1 - low)))
    return Scale(low, high, start, end, lambda value: -math.log10(1 - value), ticks, lambda value: f"{value:.6g}")


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    return tuple(f * 10.0**p for p in powers for f in factors if low * (1 - 1e-9) <= f * 10.0**p <= high * (1 + 1e-9))
