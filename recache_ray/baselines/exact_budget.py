"""From a threshold rule to a schedule of exactly k computed steps, as an equal-compute comparison needs it."""

from __future__ import annotations

import math
from collections.abc import Callable

from recache_ray.schedules import Schedule

_BISECTIONS = 100


def exact_budget(rule: Callable[[float], Schedule], error: Callable[[Schedule], float], budget: int) -> Schedule:
    """Bisect the threshold of ``rule`` until it computes ``budget`` steps.

    Where the rule skips that number over, the schedule just above it loses computed steps one by one, each time the
    one whose removal raises ``error`` least; step 0 stays.

    Args:
        rule: threshold to schedule; a negative threshold computes every step, infinity as few as the rule ever does.
        error: the method's own error signal of a schedule.
        budget: k, in 1..T.
    """
    sparse, dense = rule(math.inf), rule(-1.0)
    if sparse.budget >= budget:
        return _thinned(sparse, error, budget)
    if dense.budget <= budget:
        return dense
    low, high = -1.0, 1.0
    while rule(high).budget > budget:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        found = rule(middle)
        if found.budget == budget:
            return found
        if found.budget > budget:
            low = middle
        else:
            high = middle
    return _thinned(rule(low), error, budget)


def _thinned(schedule: Schedule, error: Callable[[Schedule], float], budget: int) -> Schedule:
    while schedule.budget > budget:
        steps = schedule.compute_steps
        thinner = [Schedule(schedule.num_steps, steps[:at] + steps[at + 1 :]) for at in range(1, len(steps))]
        schedule = min(thinner, key=lambda each: (error(each), each))
    return schedule
