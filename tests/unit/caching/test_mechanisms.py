"""Forecasts against polynomials whose values are known, and against published recursions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite import hermval

from recache_ray.caching.hermite import HiCache
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.newton import Newton
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer


def polynomial(coefficients: list[float], step: float) -> float:
    return sum(c * step**power for power, c in enumerate(coefficients))


def history_of(mechanism: CachingMechanism, steps: list[int], coefficients: list[float]) -> FeatureHistory:
    history = mechanism.reset()
    for step in steps:
        feature = torch.full((2, 3, 4), polynomial(coefficients, step), dtype=torch.float64)
        history = mechanism.update(history, step, feature)
    return history


def forecast(mechanism: CachingMechanism, steps: list[int], coefficients: list[float], step: int) -> float:
    value = mechanism.predict(history_of(mechanism, steps, coefficients), step)
    assert value.shape == (2, 3, 4)
    assert torch.all(value == value[0, 0, 0])
    return float(value[0, 0, 0])


SQUARE = [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("mechanism", "steps", "expected"),
    [
        # the recursion divides by the newest gap only, so it is biased on uneven gaps ...
        (TaylorSeer(2), [0, 1, 2, 8], {9: 74.6, 11: 99.3, 13: 128.6}),
        (TaylorSeer(1), [0, 1, 2, 8], {9: 74.0, 11: 94.0, 13: 114.0}),
        # ... and its backward difference is off by g F''/2 even on even ones
        (TaylorSeer(2), [0, 6, 12], {13: 163.0, 15: 207.0, 17: 259.0}),
        (Newton(2), [0, 1, 2, 8], {9: 81.0, 11: 121.0, 13: 169.0}),
        (Newton(2), [0, 6, 12], {13: 169.0, 15: 225.0, 17: 289.0}),
        # the differences are those of TaylorSeer; Hermite polynomials damp them
        (HiCache(2), [0, 1, 2, 8], {9: 68.85, 11: 80.02, 13: 92.35}),
        (Reuse(), [0, 1, 2, 8], {9: 64.0, 11: 64.0, 13: 64.0}),
    ],
)
def test_square_function(mechanism: CachingMechanism, steps: list[int], expected: dict[int, float]) -> None:
    for step, value in expected.items():
        assert forecast(mechanism, steps, SQUARE, step) == pytest.approx(value, abs=0.06)


@settings(max_examples=60)
@given(
    order=st.integers(0, 4),
    gaps=st.lists(st.integers(1, 9), min_size=5, max_size=8),
    ahead=st.integers(1, 9),
    data=st.data(),
)
def test_newton_is_exact_on_polynomials_of_its_order(
    order: int, gaps: list[int], ahead: int, data: st.DataObject
) -> None:
    steps = [sum(gaps[:index]) for index in range(len(gaps))]
    coefficients = data.draw(st.lists(st.integers(-3, 3).map(float), min_size=order + 1, max_size=order + 1))
    target = steps[-1] + ahead
    expected = polynomial(coefficients, target)
    scale = sum(abs(c) * target**power for power, c in enumerate(coefficients)) + 1.0
    assert abs(forecast(Newton(order), steps, coefficients, target) - expected) <= 1e-6 * scale


@pytest.mark.parametrize("family", [TaylorSeer, Newton, HiCache])
def test_order_zero_is_reuse(family: type) -> None:
    for step in (9, 11, 40):
        assert forecast(family(0), [0, 1, 2, 8], SQUARE, step) == forecast(Reuse(), [0, 1, 2, 8], SQUARE, step)


@pytest.mark.parametrize("family", [TaylorSeer, Newton, HiCache])
@pytest.mark.parametrize("anchors", [1, 2, 3, 4])
def test_few_computed_steps_fall_back_to_the_highest_available_order(family: type, anchors: int) -> None:
    steps = [0, 2, 3, 7][:anchors]
    cubic = [1.0, -2.0, 0.5, 0.25]
    available = family(min(4, anchors - 1))
    assert forecast(family(4), steps, cubic, 9) == forecast(available, steps, cubic, 9)


@pytest.mark.parametrize("mechanism", [Reuse(), TaylorSeer(2), Newton(2), HiCache(2)])
def test_histories_are_not_changed_by_what_comes_after(mechanism: CachingMechanism) -> None:
    shared = history_of(mechanism, [0, 1, 4], SQUARE)
    before = [factor.clone() for factor in shared.factors]
    mechanism.update(shared, 6, torch.randn(2, 3, 4, dtype=torch.float64))
    mechanism.update(shared, 7, torch.randn(2, 3, 4, dtype=torch.float64))
    mechanism.predict(shared, 9)
    assert all(torch.equal(factor, old) for factor, old in zip(shared.factors, before, strict=True))


@pytest.mark.parametrize("mechanism", [Reuse(), TaylorSeer(2), Newton(3), HiCache(2)])
def test_memory_is_bounded_by_the_order(mechanism: CachingMechanism) -> None:
    history = history_of(mechanism, list(range(10)), SQUARE)
    assert len(history.factors) == getattr(mechanism, "order", 0) + 1


@settings(max_examples=60)
@given(
    order=st.integers(0, 4),
    gaps=st.lists(st.integers(1, 9), min_size=5, max_size=8),
    ahead=st.integers(1, 9),
    data=st.data(),
)
def test_hermite_follows_the_closed_form_of_its_polynomials(
    order: int, gaps: list[int], ahead: int, data: st.DataObject
) -> None:
    steps = [sum(gaps[:index]) for index in range(len(gaps))]
    coefficients = data.draw(st.lists(st.integers(-3, 3).map(float), min_size=5, max_size=5))
    differences = [float(factor[0, 0, 0]) for factor in history_of(TaylorSeer(order), steps, coefficients).factors]
    # numpy's physicists' series: H_i carries the coefficient sigma^i D_i / i! and is taken at sigma x
    series = [0.5**i * difference / math.factorial(i) for i, difference in enumerate(differences)]
    expected = float(hermval(0.5 * ahead, series))
    scale = sum(abs(difference) * ahead**i for i, difference in enumerate(differences)) + 1.0
    assert abs(forecast(HiCache(order), steps, coefficients, steps[-1] + ahead) - expected) <= 1e-9 * scale


def test_hermite_with_one_two_and_three_anchors() -> None:
    line = [5.0, 3.0]
    assert forecast(HiCache(2), [4], line, 9) == 17.0  # one: reuse
    assert forecast(HiCache(2), [0, 4], line, 9) == 17.0 + 0.5 * 3.0 * 5  # two: half the slope
    assert forecast(HiCache(2), [0, 2, 4], line, 9) == forecast(HiCache(1), [0, 2, 4], line, 9)  # no second difference
    assert forecast(HiCache(2), [0, 1, 2, 8], [7.0], 11) == 7.0  # a residual that does not change
    # the offset of the second polynomial: -1/4 of the second difference (60 / 6 - 3) / 6, next to no distance at all
    history = history_of(HiCache(2), [0, 1, 2, 8], SQUARE)
    assert float(HiCache(2).predict(history, 8)[0, 0, 0]) == pytest.approx(64.0 - 0.25 * 7 / 6)
