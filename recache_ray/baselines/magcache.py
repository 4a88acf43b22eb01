"""MagCache (arXiv 2506.09045) frozen into a schedule: its decisions depend on a calibrated curve alone.

The curve is gamma_t, the mean over tokens of ``|r_t| / |r_(t-1)|`` with r_t the block stack's residual at step t. The
published rule for FLUX never skips step 11 of 28 either, an exception for one model that is left out here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from recache_ray.baselines.check_budget import check_budget
from recache_ray.baselines.exact_budget import exact_budget
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

FLUX_GAMMA: tuple[float, ...] = (
    1.0, 1.21094, 1.11719, 1.07812, 1.0625, 1.03906, 1.03125, 1.03906, 1.02344, 1.03125, 1.02344, 0.98047, 1.01562,
    1.00781, 1.0, 1.00781, 1.0, 1.00781, 1.0, 1.0, 0.99609, 0.99609, 0.98047, 0.98828, 0.96484, 0.95703, 0.93359,
    0.89062,
)  # fmt: skip
"""The published curve of FLUX.1-dev at T = 28."""

RETENTION = 0.1
MAX_SKIPS = 5


def interpolate_gamma(gamma: Sequence[float], num_steps: int) -> tuple[float, ...]:
    """The curve at another T, from the nearest calibrated step, first and last onto each other.

    >>> interpolate_gamma((1.0, 1.2, 1.1, 0.9), 2)
    (1.0, 0.9)
    """
    if num_steps == 1:
        return (gamma[-1],)
    return tuple(gamma[round(step * (len(gamma) - 1) / (num_steps - 1))] for step in range(num_steps))


def magcache_rule(gamma: Sequence[float], threshold: float, *, retained: int, max_skips: int) -> Schedule:
    """The published online rule run on the curve alone (section 3.3 of the paper).

    After ``retained`` computed steps, a step is skipped while the accumulated error ``sum |1 - prod gamma|`` since the
    last computed step is at most ``threshold`` and no more than ``max_skips`` steps were skipped in a row.
    """
    steps, ratio, error, skips = [0], 1.0, 0.0, 0
    for step in range(1, len(gamma)):
        ratio *= gamma[step]
        error += abs(1 - ratio)
        skips += 1
        if step < retained or error > threshold or skips > max_skips:
            steps.append(step)
            ratio, error, skips = 1.0, 0.0, 0
    return Schedule(len(gamma), tuple(steps))


def magcache_error(gamma: Sequence[float], schedule: Schedule) -> float:
    """The rule's own error signal summed over the cached steps of any schedule."""
    ratio = total = 0.0
    for step in range(schedule.num_steps):
        ratio = 1.0 if schedule.computes(step) else ratio * gamma[step]
        total += abs(1 - ratio)
    return total


def magcache_frozen(gamma: Sequence[float], num_steps: int, budget: int) -> Schedule:
    """The schedule of exactly ``budget`` steps that MagCache's rule gives for this curve.

    Published constants for FLUX: the first tenth of the steps computed, at most 5 skips in a row. A budget they do not
    allow is met by retaining at most half of it and by the smallest longer run of skips that reaches it.

    Args:
        gamma: the curve [T'], brought to T by :func:`interpolate_gamma` where T' differs.
        num_steps: T.
        budget: k.

    Raises:
        BadInputError: if ``budget`` is outside 1..T, or the curve is empty or not positive and finite.
    """
    check_budget(num_steps, budget)
    if not gamma or not all(math.isfinite(value) and value > 0 for value in gamma):
        raise BadInputError(f"magcache gamma = {list(gamma)[:4]}...: must be positive and finite; calibrate again")
    curve = interpolate_gamma(gamma, num_steps) if len(gamma) != num_steps else tuple(gamma)
    retained = min(int(RETENTION * num_steps), max(1, budget // 2))

    def rule(threshold: float, skips: int) -> Schedule:
        return magcache_rule(curve, threshold, retained=retained, max_skips=skips)

    longest = next(skips for skips in range(MAX_SKIPS, MAX_SKIPS + num_steps) if rule(math.inf, skips).budget <= budget)
    return exact_budget(lambda threshold: rule(threshold, longest), lambda each: magcache_error(curve, each), budget)
