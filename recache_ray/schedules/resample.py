"""Computed steps at another number of denoising steps: as many of them, as near as possible to the same noise levels.

Where the noise level of step i of T is a function of i / T alone, step i of T and step i T' / T of T' see the same
noise, and segments between computed steps keep their shares of the trajectory. Flow-match sampling is such a case:
sigma = shift(1 - i / T), with a shift that depends on the size of the picture, not on T.

Everything is exact integer arithmetic, so every machine finds the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence


def resampled_steps(steps: Sequence[int], num_steps: int, new_num_steps: int) -> tuple[int, ...]:
    """The steps of ``new_num_steps`` nearest to ``steps`` of ``num_steps``, all distinct, step 0 first.

    Among all ascending steps that start at 0 these have the least sum of squared distances to ``i T' / T``, and of
    several such the earliest. Subtracting its position from every step turns "ascending without repeats" into
    "non-decreasing between 0 and T' - k": isotonic regression by pooling adjacent violators (Ayer et al., Ann. Math.
    Statist. 26, 1955), whose rounded levels are the best integers.

    Args:
        steps: k ascending steps below ``num_steps``, the first one 0.
        num_steps: T.
        new_num_steps: T', at least k.

    >>> resampled_steps((0, 1, 2, 25), 50, 20)
    (0, 1, 2, 10)
    """
    pools: list[tuple[int, int]] = []  # (sum of T times the wanted levels, how many)
    for position, step in enumerate(steps[1:], start=1):
        total, count = step * new_num_steps - position * num_steps, 1
        while pools and pools[-1][0] * count > total * pools[-1][1]:
            total, count = total + pools[-1][0], count + pools[-1][1]
            pools.pop()
        pools.append((total, count))
    highest = new_num_steps - len(steps)
    levels = [0]
    for total, count in pools:
        # half a step goes down, to the earlier of two equally near steps
        rounded = -((count * num_steps - 2 * total) // (2 * count * num_steps))
        levels += [min(max(rounded, 0), highest)] * count
    return tuple(position + level for position, level in enumerate(levels))
