"""LeMiCa (arXiv 2511.00090): the path through the steps whose worst jumps are least, compared lexicographically.

Nodes are the steps and the end T of the generation; the edge i -> j stands for computing i and j and caching all steps
between. Its weight is the error of a generation in which these alone are cached. Published weights are the mean
absolute error of the final latent; any error of the final picture orders edges by the same idea.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recache_ray.baselines.check_budget import check_budget
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

_Key = tuple[float, ...]


def edge_schedules(num_steps: int, max_gap: int) -> dict[tuple[int, int], Schedule]:
    """The generation that measures each edge i -> j of 2 <= j - i <= ``max_gap``, j up to T."""
    return {
        (i, j): Schedule(num_steps, tuple(step for step in range(num_steps) if not i < step < j))
        for i in range(num_steps)
        for j in range(i + 2, min(i + max_gap, num_steps) + 1)
    }


def least_gap(num_steps: int, budget: int) -> int:
    """The smallest ``max_gap`` with which ``budget`` computed steps reach the end."""
    return math.ceil(num_steps / budget)


def path_key(weights: NDArray[np.float64], schedule: Schedule) -> _Key:
    """The weights of a schedule's edges, largest first: schedules compare as these tuples do."""
    stops = (*schedule.compute_steps, schedule.num_steps)
    return tuple(sorted((float(weights[i, j]) for i, j in pairwise(stops)), reverse=True))


def lemica(weights: NDArray[np.float64], budget: int) -> Schedule:
    """The schedule of exactly ``budget`` steps with the least :func:`path_key`.

    Adding an edge to two paths of equally many edges keeps the order of their keys, so dynamic programming is exact.

    Args:
        weights: [T, T + 1]; 0 for neighbouring steps, infinity for edges that may not be used.
        budget: k.

    Raises:
        BadInputError: if ``budget`` is outside 1..T or the edges are too short for it.
    """
    num_steps = len(weights)
    check_budget(num_steps, budget)
    best: dict[int, tuple[_Key, tuple[int, ...]]] = {0: ((), (0,))}
    for _ in range(1, budget):
        best = {j: chosen for j in range(1, num_steps) if (chosen := _cheapest(weights, best, j)) is not None}
    end = _cheapest(weights, best, num_steps)
    if end is None:
        raise BadInputError(
            f"lemica budget = {budget}: no path of calibrated edges computes so few of {num_steps} steps; edges must "
            f"reach over at least {least_gap(num_steps, budget)} steps, calibrate with a larger max_gap"
        )
    return Schedule(num_steps, end[1][:-1])


def _cheapest(
    weights: NDArray[np.float64], best: dict[int, tuple[_Key, tuple[int, ...]]], target: int
) -> tuple[_Key, tuple[int, ...]] | None:
    """The least path to ``target`` that extends one of ``best``."""
    return min(
        (
            (tuple(sorted((*key, float(weights[i, target])), reverse=True)), (*steps, target))
            for i, (key, steps) in best.items()
            if i < target and math.isfinite(weights[i, target])
        ),
        default=None,
    )
