"""Rivals that spend more FLOPs than their number of computed steps says, compared where ours spends as many.

Probes cost, and a threshold found on a few prompts lets others compute more steps. So ours is read off its own curve
at the FLOPs that were measured of the rival: between two budgets log LPIPS is linear in log FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recache_ray.evaluation.results.records import MethodResult, Point

# FLOPs this much above those of our schedule of the same budget are more
_MORE = 0.01


@dataclass(frozen=True, slots=True)
class EqualFlops:
    """Ours over a rival at the rival's FLOPs.

    Attributes:
        method: the rival.
        ratios: by the rival's budget, our LPIPS over its, where its FLOPs are within those of our curve.
        beyond: the rival's budgets that are not.
    """

    method: str
    ratios: dict[int, float]
    beyond: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Geometric mean of :attr:`ratios`; NaN without any."""
        if not self.ratios:
            return math.nan
        return math.exp(math.fsum(map(math.log, self.ratios.values())) / len(self.ratios))


def at_equal_flops(policy: MethodResult, rival: MethodResult) -> EqualFlops | None:
    """The comparison; None where the rival spends no more than ours at any budget, so that budgets compare as they are.

    Points whose LPIPS is 0 on either side have no ratio and count as beyond.
    """
    own = {point.budget: point for point in policy.points}
    if not any(point.budget in own and spends_more(point, own[point.budget]) for point in rival.points):
        return None
    ratios: dict[int, float] = {}
    for point in rival.points:
        ours = _read_off(policy.points, point.flops_ratio)
        if ours > 0 and point.lpips > 0:
            ratios[point.budget] = ours / point.lpips
    return EqualFlops(rival.method, ratios, tuple(p.budget for p in rival.points if p.budget not in ratios))


def spends_more(rival: Point, own: Point) -> bool:
    """Whether the FLOPs of a rival are above ours by more than rounding and the embedders explain."""
    return own.flops_ratio > rival.flops_ratio * (1 + _MORE)


def _read_off(points: Sequence[Point], flops_ratio: float) -> float:
    """Our LPIPS at a FLOPs ratio; NaN outside of the curve, 0 or NaN beside a point where it is 0."""
    curve = np.array(sorted((point.flops_ratio, point.lpips) for point in points))
    with np.errstate(divide="ignore", invalid="ignore"):
        flops, lpips = np.log(curve).T
        return float(np.exp(np.interp(math.log(flops_ratio), flops, lpips, left=math.nan, right=math.nan)))
