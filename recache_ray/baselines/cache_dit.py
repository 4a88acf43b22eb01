"""The preset masks of cache-dit (``steps_mask`` with ``mask_policy``): four fixed budgets for each T, from 8 on.

A preset is a list of runs of computed steps and one of cached steps, which alternate. The presets are made for T = 28;
the library shortens them down to T = 16, stretches them above 28, and has others below 16. The last step is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

_Runs = tuple[tuple[int, ...], tuple[int, ...]]

PRESETS: Mapping[str, _Runs] = {
    "slow": ((8, 3, 3, 2, 1, 1), (1, 2, 2, 2, 3)),
    "medium": ((6, 2, 2, 2, 2, 1), (1, 3, 3, 3, 3)),
    "fast": ((6, 1, 1, 1, 1, 1), (1, 3, 4, 5, 4)),
    "ultra": ((4, 1, 1, 1, 1), (2, 5, 6, 7)),
}
"""Computed and cached runs at T = 28."""

_UNDER_16: Mapping[str, _Runs] = {
    "slow": ((4, 2, 2, 2, 1), (1, 1, 1, 1)),
    "medium": ((4, 2, 1, 1, 1), (1, 1, 2, 2)),
    "fast": ((3, 1, 1, 1, 1), (1, 2, 2, 3)),
    "ultra": ((2, 1, 1, 1, 1), (1, 2, 3, 3)),
}
_NINE: Mapping[str, _Runs] = {
    "slow": ((5, 2, 1), (1,)),
    "medium": ((5, 1, 1), (1, 1)),
    "fast": ((4, 1, 1), (1, 2)),
    "ultra": ((3, 1, 1), (2, 2)),
}
_EIGHT: Mapping[str, _Runs] = {
    "slow": ((5, 1, 1), (1,)),
    "medium": ((4, 1, 1), (1, 1)),
    "fast": ((3, 1, 1), (1, 2)),
    "ultra": ((2, 1, 1), (2, 2)),
}
_MADE_FOR = 28
_FEWEST_STEPS = 8


def cache_dit_presets(num_steps: int) -> dict[str, Schedule]:
    """Name to mask for every preset at this T, the slowest first.

    Raises:
        BadInputError: if ``num_steps`` is below 8.
    """
    if num_steps < _FEWEST_STEPS:
        raise BadInputError(
            f"cache_dit num_steps = {num_steps}: its presets start at {_FEWEST_STEPS} steps; leave cache_dit out"
        )
    return {name: _mask(_table(num_steps)[name], num_steps) for name in PRESETS}


def cache_dit_masks(num_steps: int) -> dict[int, Schedule]:
    """Budget to mask for every preset at this T, budgets descending; of presets of equal budget the slower one.

    Raises:
        BadInputError: if ``num_steps`` is below 8.
    """
    masks: dict[int, Schedule] = {}
    for mask in cache_dit_presets(num_steps).values():
        masks.setdefault(mask.budget, mask)
    return masks


def cache_dit(num_steps: int, budget: int) -> Schedule:
    """The preset mask with exactly ``budget`` computed steps.

    Raises:
        BadInputError: if no preset has that budget, naming those there are.
    """
    masks = cache_dit_masks(num_steps)
    if budget not in masks:
        reached = ", ".join(str(each) for each in sorted(masks))
        raise BadInputError(
            f"cache_dit budget = {budget}: its presets compute {reached} of {num_steps} steps; choose one of these"
        )
    return masks[budget]


def _table(num_steps: int) -> Mapping[str, _Runs]:
    if num_steps >= 2 * _FEWEST_STEPS:
        return PRESETS
    return {8: _EIGHT, 9: _NINE}.get(num_steps, _UNDER_16)


def _mask(runs: _Runs, num_steps: int) -> Schedule:
    computed, cached = _shortened(*_stretched(runs, num_steps), num_steps)
    mask: list[int] = []
    for place in range(max(len(computed), len(cached))):
        mask += [1] * sum(computed[place : place + 1]) + [0] * sum(cached[place : place + 1])
    mask[-1] = 1
    return Schedule.from_mask(mask)


def _stretched(runs: _Runs, num_steps: int) -> tuple[list[int], list[int]]:
    """Grow the runs in turn, each by half its scaled length, until they cover T; the last computed one by 1 a round."""
    computed, cached = list(runs[0]), list(runs[1])
    if num_steps <= _MADE_FOR:
        return computed, cached
    scale = num_steps / _MADE_FOR / 2
    pairs = range(len(runs[1]))
    turns: list[tuple[list[int], int, int]] = []
    for place in pairs:
        turns += [
            (grown, place, max(int(own[place] * scale), 1)) for grown, own in zip((computed, cached), runs, strict=True)
        ]
    turns.append((computed, -1, 1))
    while True:
        for grown, place, by in turns:
            if sum(computed) + sum(cached) >= num_steps:
                return computed, cached
            grown[place] += by


def _shortened(computed: Sequence[int], cached: Sequence[int], num_steps: int) -> tuple[list[int], list[int]]:
    """Take steps from the ends of the last cached and the last computed run in turn until T are left."""
    left = [list(cached), list(computed)]
    excess, turn = sum(computed) + sum(cached) - num_steps, 0
    while excess > 0:
        runs = left[turn % 2]
        if runs:
            runs[-1] -= 1
            excess -= 1
            if runs[-1] == 0:
                runs.pop()
        turn += 1
    return left[1], left[0]
