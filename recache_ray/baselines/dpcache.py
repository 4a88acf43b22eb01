"""DPCache (arXiv 2602.22654): dynamic programming over calibrated forecast errors, as published and exact.

A forecast at step t from the last two computed steps i < j costs ``errors[i, j, t]``, so a schedule costs the sum over
its cached steps. Before a second step is computed, ``errors[0, 0, t]`` holds. Mechanisms that look further back than
two computed steps forecast with the order two anchors allow, which is what this cost can express.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recache_ray.baselines.check_budget import check_budget
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

_WARM_STEPS = 3
_MAX_JUMP_SHARE = 0.3
_SMALLEST_PUBLISHED_BUDGET = 9


@dataclass(frozen=True, slots=True)
class PathRules:
    """What a path may do.

    Attributes:
        warm_steps: first steps that are computed in any case, at least 1.
        max_jump: longest distance between computed steps, the end of the generation included; 0 is any.
        ends_computed: whether step T-1 must be computed.
    """

    warm_steps: int = 1
    max_jump: int = 0
    ends_computed: bool = False


def published_rules(num_steps: int, budget: int) -> PathRules:
    """Three warm steps, the last step computed, jumps up to 0.3 T, as the method is run at its published budgets.

    Below 9 steps that would leave nothing to choose: a third of the budget is warm, the last step is free, and jumps
    reach twice the even gap.
    """
    small = budget < _SMALLEST_PUBLISHED_BUDGET
    return PathRules(
        warm_steps=max(1, min(_WARM_STEPS, budget // 3)),
        max_jump=max(int(_MAX_JUMP_SHARE * num_steps), 2 * math.ceil(num_steps / budget)),
        ends_computed=not small,
    )


def path_cost(errors: NDArray[np.float64], schedule: Schedule) -> float:
    """What a schedule costs: ``errors[i, j, t]`` summed over its cached steps t."""
    total = 0.0
    for step in range(schedule.num_steps):
        if not schedule.computes(step):
            *earlier, newest = schedule.prefix(step)
            total += float(errors[earlier[-1] if earlier else 0, newest, step])
    return total


def path_costs(errors: NDArray[np.float64]) -> Callable[[Schedule], float]:
    """:func:`path_cost` under these errors for many schedules, up to rounding: stretches are added up beforehand."""
    stretches = _stretch_costs(errors)

    def cost(schedule: Schedule) -> float:
        newest = np.array(schedule.compute_steps)
        older, following = np.append(0, newest[:-1]), np.append(newest[1:], schedule.num_steps)
        return float(stretches[older, newest, following].sum())

    return cost


def dpcache(errors: NDArray[np.float64], budget: int, rules: PathRules) -> Schedule:
    """The published recurrence ``D[m, k] = min_j D[m-1, j] + C[P[m-1, j], j, k]`` in O(k T^2).

    P is the predecessor kept for step j, whichever step comes next, which makes it a heuristic.

    Args:
        errors: [T, T, T], see the module's description.
        budget: k.
        rules: what a path may do.

    Raises:
        BadInputError: if ``budget`` is outside 1..T or the rules leave no path.
    """
    num_steps, jumps = len(errors), _jump_costs(errors, budget, rules)
    cost = np.full(num_steps, np.inf)
    cost[rules.warm_steps - 1] = 0.0
    parent = np.zeros(num_steps, dtype=np.intp)
    parent[rules.warm_steps - 1] = max(0, rules.warm_steps - 2)
    parents, columns = [parent], np.arange(num_steps)
    for _ in range(rules.warm_steps, budget):
        through = cost[:, None] + jumps[parent, columns]
        parent = np.argmin(through[:, :num_steps], axis=0)
        cost = through[parent, columns]
        parents.append(parent)
    last = int(np.argmin(ends := cost + jumps[parent, columns, num_steps]))
    if not np.isfinite(ends[last]):
        raise _no_path(budget, rules)
    steps = [last]
    for parent in reversed(parents[1:]):
        steps.append(int(parent[steps[-1]]))
    return Schedule.from_steps(num_steps, (*range(rules.warm_steps), *steps))


def dpcache_exact(errors: NDArray[np.float64], budget: int, rules: PathRules | None = None) -> Schedule:
    """The schedule of least :func:`path_cost`, by the recurrence over the last two computed steps, in O(k T^3).

    Args:
        errors: [T, T, T], see the module's description.
        budget: k.
        rules: what a path may do; by default everything.

    Raises:
        BadInputError: if ``budget`` is outside 1..T or the rules leave no path.
    """
    rules = rules or PathRules()
    num_steps, jumps = len(errors), _jump_costs(errors, budget, rules)
    cost = np.full((num_steps, num_steps), np.inf)
    cost[max(0, rules.warm_steps - 2), rules.warm_steps - 1] = 0.0
    parents = []
    for _ in range(rules.warm_steps, budget):
        through = cost[:, :, None] + jumps[:, :, :num_steps]
        parents.append(np.argmin(through, axis=0))
        cost = through.min(axis=0)
    ends = cost + jumps[:, :, num_steps]
    before, last = (int(place) for place in np.unravel_index(np.argmin(ends), ends.shape))
    if not np.isfinite(ends[before, last]):
        raise _no_path(budget, rules)
    steps = [last]
    for parent in reversed(parents):
        steps.append(before)
        before, last = int(parent[before, last]), before
    return Schedule.from_steps(num_steps, (*range(rules.warm_steps), *steps))


def _stretch_costs(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """[T, T, T + 1]: what is cached between computed steps j and k costs with i before j; k = T is the end."""
    num_steps = len(errors)
    newest, step = np.ogrid[:num_steps, :num_steps]
    cached = np.where(step > newest, errors, 0.0)
    return np.concatenate([np.zeros((num_steps, num_steps, 1)), cached.cumsum(axis=2)], axis=2)


def _jump_costs(errors: NDArray[np.float64], budget: int, rules: PathRules) -> NDArray[np.float64]:
    """:func:`_stretch_costs`, infinite where the rules or the order of steps forbid the jump."""
    num_steps = len(errors)
    check_budget(num_steps, budget)
    if not 1 <= rules.warm_steps <= budget:
        raise BadInputError(f"dpcache warm_steps = {rules.warm_steps}: must be between 1 and budget = {budget}")
    first, newest, target = np.ogrid[:num_steps, :num_steps, : num_steps + 1]
    allowed = (target > newest) & ((first < newest) | ((first == 0) & (newest == 0)))
    if rules.max_jump:
        allowed &= target - newest <= rules.max_jump
    if rules.ends_computed:
        allowed &= (target < num_steps) | (newest == num_steps - 1)
    return np.where(allowed, _stretch_costs(errors), np.inf)


def _no_path(budget: int, rules: PathRules) -> BadInputError:
    return BadInputError(
        f"dpcache budget = {budget}: no schedule has {rules.warm_steps} warm steps and no jump above {rules.max_jump}; "
        "raise max_jump or the budget"
    )
