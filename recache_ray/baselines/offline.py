"""Baselines whose schedule for a budget is known before the generation, by name, and the calibration each one needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from recache_ray.baselines.cache_dit import cache_dit, cache_dit_masks
from recache_ray.baselines.dpcache import dpcache, dpcache_exact, path_costs, published_rules
from recache_ray.baselines.lemica import lemica
from recache_ray.baselines.magcache import magcache_frozen
from recache_ray.baselines.residual_statistics import ResidualStatistics
from recache_ray.baselines.smoothcache import smoothcache
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


class Need(Enum):
    """A kind of calibration."""

    RESIDUALS = "residuals"
    EDGES = "edges"


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was measured for these baselines; None where none of those asked for needs it.

    Attributes:
        residuals: statistics of uncached generations.
        edges: LeMiCa's edge weights [T, T + 1].
    """

    residuals: ResidualStatistics | None = None
    edges: NDArray[np.float64] | None = None


_ON_RESIDUALS: Mapping[str, Callable[[ResidualStatistics, int, int], Schedule]] = {
    "magcache_frozen": lambda found, num_steps, k: magcache_frozen(found.magnitude_ratios.tolist(), num_steps, k),
    "smoothcache": lambda found, _, k: smoothcache(found.reuse_errors, k),
    "dpcache": lambda found, num_steps, k: dpcache(found.forecast_errors, k, published_rules(num_steps, k)),
    "dpcache_exact": lambda found, _, k: dpcache_exact(found.forecast_errors, k),
}

OFFLINE: tuple[str, ...] = (*_ON_RESIDUALS, "lemica", "cache_dit")
"""The names :func:`offline_schedule` knows."""

_LEAST_COST = 1e-12


def needs(names: Iterable[str]) -> frozenset[Need]:
    """The calibrations that the baselines of these names need; other names need none."""
    residuals = {Need.RESIDUALS for name in names if name in _ON_RESIDUALS}
    return frozenset(residuals | {Need.EDGES for name in names if name == "lemica"})


def reached_budgets(name: str, num_steps: int, budgets: Iterable[int]) -> tuple[int, ...]:
    """Those of ``budgets`` a baseline has a schedule for: all, except for presets.

    Raises:
        BadInputError: if it is none of them, naming what it reaches.
    """
    asked = tuple(budgets)
    if name != "cache_dit":
        return asked
    masks = cache_dit_masks(num_steps)
    reached = tuple(budget for budget in asked if budget in masks)
    if asked and not reached:
        cache_dit(num_steps, asked[0])
    return reached


def offline_schedule(name: str, num_steps: int, budget: int, calibration: Calibration | None) -> Schedule:
    """The schedule of exactly ``budget`` steps of the baseline ``name``.

    Raises:
        BadInputError: if it has none, or the calibration it needs was not made or is of another T.
    """
    if name == "cache_dit":
        return cache_dit(num_steps, budget)
    if name == "lemica":
        edges = calibration.edges if calibration else None
        if edges is None or len(edges) != num_steps:
            raise _uncalibrated(name, num_steps, edges)
        return lemica(edges, budget)
    found = calibration.residuals if calibration else None
    ratios = found.magnitude_ratios if found else None
    if found is None or len(found.magnitude_ratios) != num_steps:
        raise _uncalibrated(name, num_steps, ratios)
    return _ON_RESIDUALS[name](found, num_steps, budget)


def predicted_cost(calibration: Calibration) -> Callable[[Schedule], float] | None:
    """DPCache's cost of any schedule, which takes no generation; None without residuals to add up.

    At least 1e-12, so that it has a logarithm.
    """
    if calibration.residuals is None:
        return None
    cost = path_costs(calibration.residuals.forecast_errors)
    return lambda schedule: max(cost(schedule), _LEAST_COST)


def _uncalibrated(name: str, num_steps: int, found: NDArray[np.float64] | None) -> BadInputError:
    has = "there is none" if found is None else f"this one is of {len(found)}"
    return BadInputError(
        f"baseline {name}: needs a calibration at num_steps = {num_steps}, {has}; recache evaluate makes one"
    )
