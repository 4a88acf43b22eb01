"""Rewards that are costs with a minus sign, seen through the logarithm.

Errors of schedules multiply rather than add: over the schedules of one budget they span factors of ten, and a step in
the wrong place raises them by a factor. So learning looks at -ln(cost), while what is chosen in the end is decided by
the mean of the rewards as they came.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

# A cost this far below the usual one is as good as none; keeps the logarithm of an exact match finite.
_FLOOR = 1e-4


def are_costs(rewards: Sequence[float]) -> bool:
    """Whether no reward is above zero: then zero is perfect, and -reward is a cost."""
    return max(rewards) <= 0.0 and min(rewards) < 0.0


def log_domain(rewards: Sequence[float]) -> list[float]:
    """-ln(cost) of rewards that are costs with a minus sign; any others as they are.

    >>> [round(value, 3) for value in log_domain([-0.1, -1.0])], log_domain([-1.0, 2.0])
    ([2.303, -0.0], [-1.0, 2.0])
    """
    if not rewards or not are_costs(rewards):
        return list(rewards)
    least = _FLOOR * statistics.median(-reward for reward in rewards if reward < 0.0)
    return [-math.log(max(-reward, least)) for reward in rewards]
