"""Baselines by name, as configuration lists them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN
from recache_ray.baselines.offline import OFFLINE, Calibration, offline_schedule
from recache_ray.baselines.random import random_schedules
from recache_ray.baselines.searches import SEARCHES
from recache_ray.baselines.uniform import uniform, uniform_ends, uniform_warm
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

_FIXED: dict[str, Callable[[int, int], Schedule]] = {
    "uniform": uniform,
    "uniform_warm": uniform_warm,
    "uniform_ends": uniform_ends,
}

BASELINES: tuple[str, ...] = (*_FIXED, "random")
"""Names that need no calibration; those of ``OFFLINE``, ``ADAPTIVE``, ``FROZEN`` and ``SEARCHES`` come on top."""


def check_baselines(names: Iterable[str], *, setting: str = "evaluation.baselines") -> tuple[str, ...]:
    """Return ``names`` as a tuple without repeats.

    Raises:
        BadInputError: for an unknown name, with the nearest known one.
    """
    chosen = tuple(dict.fromkeys(names))
    known = (*BASELINES, *OFFLINE, *ADAPTIVE, *FROZEN, *SEARCHES)
    for name in chosen:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise BadInputError(f"{setting}: unknown baseline {name!r}; {hint}")
    return chosen


def baseline_schedules(
    name: str,
    num_steps: int,
    budget: int,
    *,
    seed: int = 0,
    random_count: int = 4,
    calibration: Calibration | None = None,
) -> tuple[Schedule, ...]:
    """The schedules a baseline runs at one budget: one for a fixed rule, several to average over for ``random``.

    Raises:
        BadInputError: if the name is unknown, ``budget`` is outside 1..T or not one it reaches, or it needs a
            ``calibration`` and none of this T is given.
    """
    check_baselines((name,), setting="baseline")
    if name == "random":
        return random_schedules(num_steps, budget, count=random_count, seed=seed)
    if name in OFFLINE:
        return (offline_schedule(name, num_steps, budget, calibration),)
    if name in SEARCHES:
        raise BadInputError(f"baseline {name!r}: has no schedule before it has searched; evaluate it instead")
    if name not in _FIXED:
        raise BadInputError(f"baseline {name!r}: has no schedule before its gate has decided; evaluate it instead")
    return (_FIXED[name](num_steps, budget),)
