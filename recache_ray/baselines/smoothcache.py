"""SmoothCache (arXiv 2411.10510): from each computed step, skip as far as a calibrated error allows.

Published per layer type with one threshold for all; here the cached component is the whole block stack.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recache_ray.baselines.check_budget import check_budget
from recache_ray.baselines.exact_budget import exact_budget
from recache_ray.schedules import Schedule

LOOKAHEAD = 3


def smoothcache_rule(errors: NDArray[np.float64], threshold: float, *, lookahead: int) -> Schedule:
    """The published greedy rule: the longest run of cached steps whose last one's error is at most ``threshold``.

    First and last step are computed.

    Args:
        errors: [T, T]; ``errors[s, t]`` is the relative L1 error of step s's residual in place of step t's, s < t.
        threshold: alpha.
        lookahead: most cached steps in a row.
    """
    num_steps = len(errors)
    steps, step = [], 0
    while step < num_steps:
        steps.append(step)
        farthest = min(step + lookahead, num_steps - 2)
        reached = next((t for t in range(farthest, step, -1) if errors[step, t] <= threshold), step)
        step = reached + 1
    return Schedule(num_steps, tuple(steps))


def smoothcache_error(errors: NDArray[np.float64], schedule: Schedule) -> float:
    """The error signal of any schedule: ``errors`` from the last computed step, summed over its cached steps."""
    return float(sum(errors[schedule.prefix(t)[-1], t] for t in range(schedule.num_steps) if not schedule.computes(t)))


def smoothcache(errors: NDArray[np.float64], budget: int) -> Schedule:
    """The schedule of exactly ``budget`` steps: the threshold is bisected, one for each budget.

    Published: at most 3 cached steps in a row. Where that computes more than ``budget`` steps, the smallest longer run
    that reaches it is allowed.

    Raises:
        BadInputError: if ``budget`` is outside 1..T.
    """
    num_steps = len(errors)
    check_budget(num_steps, budget)
    longest = next(
        run
        for run in range(LOOKAHEAD, LOOKAHEAD + num_steps)
        if smoothcache_rule(errors, math.inf, lookahead=run).budget <= max(2, budget)
    )
    return exact_budget(
        lambda threshold: smoothcache_rule(errors, threshold, lookahead=longest),
        lambda schedule: smoothcache_error(errors, schedule),
        budget,
    )
