"""A rival on our own curve is level at any FLOPs; what lies off it is said to be."""

from __future__ import annotations

import math

import pytest

from recache_ray.evaluation.results.collect import family_of
from recache_ray.evaluation.results.equal_flops import at_equal_flops
from recache_ray.evaluation.results.records import MethodResult, Point


def method(name: str, points: dict[int, tuple[float, float]]) -> MethodResult:
    """``points``: FLOPs ratio and LPIPS by budget."""
    found = tuple(Point(k, float(k), flops, lpips, 1.0, 1.0, 1.0) for k, (flops, lpips) in points.items())
    return MethodResult(name, family_of(name), found, 1.0, 1.0, 1.0, 0)


# LPIPS = FLOPs ratio ** 3 / 1000, a straight line in logarithms
OURS = method("policy", {5: (8.0, 0.512), 10: (4.0, 0.064), 20: (2.0, 0.008)})


@pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
def test_between_our_budgets_the_curve_is_log_linear(factor: float) -> None:
    rival = method("fbcache", {k: (flops, factor * flops**3 / 1000) for k, flops in ((5, 7.0), (10, 3.0), (20, 2.0))})
    found = at_equal_flops(OURS, rival)
    assert found is not None and found.beyond == ()
    assert found.ratios == pytest.approx(dict.fromkeys((5, 10, 20), 1 / factor))
    assert found.mean == pytest.approx(1 / factor)


def test_both_ends_of_the_curve_are_on_it_and_nothing_past_them() -> None:
    rival = method("easycache", {5: (8.0, 1.024), 6: (8.01, 0.5), 19: (2.0, 0.004), 20: (1.9, 0.001)})
    found = at_equal_flops(OURS, rival)
    assert found is not None
    assert found.ratios == pytest.approx({5: 0.5, 19: 2.0}) and found.beyond == (6, 20)
    assert found.mean == pytest.approx(1.0)


def test_a_rival_that_spends_no_more_needs_no_such_comparison() -> None:
    assert at_equal_flops(OURS, method("uniform", {5: (8.0, 1.0), 10: (4.0, 0.1)})) is None
    assert at_equal_flops(OURS, method("teacache", {5: (7.95, 1.0)})) is None  # within one percent
    assert at_equal_flops(OURS, method("teacache", {5: (7.5, 1.0)})) is not None


def test_without_a_point_on_the_curve_or_without_an_error_there_is_no_ratio() -> None:
    beyond = at_equal_flops(OURS, method("dicache", {20: (1.5, 0.1)}))
    assert beyond is not None and beyond.ratios == {} and math.isnan(beyond.mean)
    exact = at_equal_flops(OURS, method("dicache", {10: (3.0, 0.0)}))
    assert exact is not None and exact.beyond == (10,)
    perfect = at_equal_flops(method("policy", {5: (8.0, 0.0), 10: (4.0, 0.0)}), method("fbcache", {5: (6.0, 0.1)}))
    assert perfect is not None and perfect.beyond == (5,)
