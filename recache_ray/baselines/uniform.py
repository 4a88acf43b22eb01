"""Evenly spaced schedules, in the three variants that papers call "uniform", each for an exact budget.

They differ a lot in quality: forecasting mechanisms need a few computed steps in a row before they forecast well, so
the warm variants are much stronger at low budgets. A comparison says which one it used.
"""

from __future__ import annotations

from recache_ray.baselines.check_budget import check_budget
from recache_ray.schedules import Schedule

WARM_STEPS = 3


def uniform(num_steps: int, budget: int) -> Schedule:
    """Every (T / k)-th step: ``{round(i * T / k), i = 0..k-1}``.

    >>> uniform(50, 5).compute_steps
    (0, 10, 20, 30, 40)

    Raises:
        BadInputError: if ``budget`` is outside 1..T.
    """
    check_budget(num_steps, budget)
    return Schedule(num_steps, _spread(0, num_steps, budget))


def uniform_warm(num_steps: int, budget: int) -> Schedule:
    """The first three steps, then equal gaps to the end, as TaylorSeer's ``first_enhance = 3`` and every N-th step.

    With fewer than three computed steps all of them are at the start.

    >>> uniform_warm(50, 7).compute_steps
    (0, 1, 2, 12, 21, 31, 40)

    Raises:
        BadInputError: if ``budget`` is outside 1..T.
    """
    check_budget(num_steps, budget)
    warm = min(WARM_STEPS, budget)
    spread = _spread(warm - 1, num_steps, budget - warm + 1)
    return Schedule(num_steps, (*range(warm - 1), *spread))


def uniform_ends(num_steps: int, budget: int) -> Schedule:
    """Steps 0, 1, 2 and T-1, the others evenly over 3..T-2 with both of these included, as GPH defines uniform.

    A fifth step alone goes to the middle. Below five, step T-1 and the first k - 1 steps remain; k = 1 is step 0.

    >>> uniform_ends(50, 9).compute_steps
    (0, 1, 2, 3, 14, 25, 37, 48, 49)

    Raises:
        BadInputError: if ``budget`` is outside 1..T.
    """
    check_budget(num_steps, budget)
    if budget <= WARM_STEPS + 1:
        first = range(max(1, budget - 1))
        return Schedule.from_steps(num_steps, (*first, num_steps - 1) if budget > 1 else first)
    free, last_place = budget - WARM_STEPS - 1, num_steps - 2 - WARM_STEPS
    places = [round(i * last_place / (free - 1)) for i in range(free)] if free > 1 else [last_place // 2]
    middle = [WARM_STEPS + place for place in places]
    return Schedule(num_steps, (*range(WARM_STEPS), *middle, num_steps - 1))


def _spread(start: int, stop: int, count: int) -> tuple[int, ...]:
    """``count`` steps from ``start``, with equal gaps between them and up to ``stop``, which is left out."""
    return tuple(start + round(i * (stop - start) / count) for i in range(count))
