"""What every forecast must keep to, whatever its formula; a new mechanism is one more line of CLAIMS."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recache_ray.caching.freqca import FreqCa
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.registry import CUTS, KINDS, build_mechanism, parse_mechanism
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec

SIDE, WIDTH = 4, 3
CHECKERBOARD = (1.0 - 2.0 * (torch.arange(SIDE)[:, None] + torch.arange(SIDE)).remainder(2)).flatten().double()
"""The finest picture there is, so that a mechanism that treats coarse structure otherwise forecasts all of it."""


@dataclass(frozen=True)
class Claim:
    """What a mechanism's documentation says of it."""

    exact_degree: int
    factors: int
    anchors: int


CLAIMS = {
    "reuse": Claim(exact_degree=0, factors=1, anchors=1),
    "taylor1": Claim(exact_degree=1, factors=2, anchors=2),
    "taylor2": Claim(exact_degree=1, factors=3, anchors=3),
    "newton1": Claim(exact_degree=1, factors=2, anchors=2),
    "newton2": Claim(exact_degree=2, factors=3, anchors=3),
    "newton3": Claim(exact_degree=3, factors=4, anchors=4),
    "hermite1": Claim(exact_degree=0, factors=2, anchors=2),
    "hermite2": Claim(exact_degree=0, factors=3, anchors=3),
    "foca": Claim(exact_degree=1, factors=3, anchors=3),
    "freqca1": Claim(exact_degree=1, factors=2, anchors=2),
    "freqca2": Claim(exact_degree=2, factors=3, anchors=3),
    "delta": Claim(exact_degree=0, factors=1, anchors=1),
    # the residual's factors; the probe has as many
    "dcta": Claim(exact_degree=0, factors=2, anchors=1),
    "reuse_modules": Claim(exact_degree=0, factors=1, anchors=1),
    "taylor2_modules": Claim(exact_degree=1, factors=3, anchors=3),
}

every_mechanism = pytest.mark.parametrize("name", CLAIMS)


def built(name: str) -> CachingMechanism:
    return build_mechanism(parse_mechanism(name))


def feature(value: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """A residual [2, N, D] that is ``value`` times the checkerboard."""
    return (value * CHECKERBOARD[None, :, None]).expand(2, -1, WIDTH).to(dtype).contiguous()


def history_of(mechanism: CachingMechanism, anchors: list[tuple[int, Tensor]]) -> FeatureHistory:
    history = mechanism.reset()
    for step, residual in anchors:
        history = mechanism.update(history, step, residual)
    return history


def polynomial(coefficients: list[float], step: int) -> float:
    return sum(c * step**power for power, c in enumerate(coefficients))


def forecast(name: str, steps: list[int], coefficients: list[float], target: int) -> float:
    mechanism = built(name)
    history = history_of(mechanism, [(step, feature(polynomial(coefficients, step))) for step in steps])
    got = mechanism.predict(history, target)
    value = float(got[0, 0, 0])
    assert torch.allclose(got, feature(value), atol=1e-9 * (1 + abs(value)), rtol=0)
    return value


def test_every_kind_is_held_to_the_contract() -> None:
    specs = [parse_mechanism(name) for name in CLAIMS]
    assert {spec.kind for spec in specs} == set(KINDS) and {spec.cut for spec in specs} == set(CUTS)
    assert all(built(name).id == parse_mechanism(name).id == name for name in CLAIMS)


@every_mechanism
@settings(max_examples=25)
@given(gaps=st.lists(st.integers(1, 9), min_size=5, max_size=7), ahead=st.integers(1, 9), data=st.data())
def test_polynomials_of_the_stated_degree_are_forecast_exactly_over_uneven_gaps(
    name: str, gaps: list[int], ahead: int, data: st.DataObject
) -> None:
    degree = CLAIMS[name].exact_degree
    steps = [sum(gaps[:index]) for index in range(len(gaps))]
    coefficients = data.draw(st.lists(st.integers(-3, 3).map(float), min_size=degree + 1, max_size=degree + 1))
    target = steps[-1] + ahead
    scale = sum(abs(c) * target**power for power, c in enumerate(coefficients)) + 1.0
    assert abs(forecast(name, steps, coefficients, target) - polynomial(coefficients, target)) <= 1e-6 * scale


@every_mechanism
def test_the_stated_degree_is_the_highest(name: str) -> None:
    higher = [0.0] * (CLAIMS[name].exact_degree + 1) + [1.0]
    steps = [0, 1, 3, 8, 10]
    assert forecast(name, steps, higher, 14) != pytest.approx(polynomial(higher, 14), rel=1e-3)


@every_mechanism
def test_one_computed_step_is_reuse(name: str) -> None:
    mechanism, only = built(name), torch.randn(2, SIDE * SIDE, WIDTH)
    assert torch.equal(mechanism.predict(history_of(mechanism, [(3, only)]), 9), only)


@pytest.mark.parametrize("kind", ["taylor", "newton", "hermite", "freqca"])
def test_order_zero_is_reuse(kind: str) -> None:
    mechanism = built(f"{kind}0")
    anchors = [(step, torch.randn(2, SIDE * SIDE, WIDTH)) for step in (0, 1, 4)]
    history = history_of(mechanism, anchors)
    assert len(history.factors) == 1
    assert torch.equal(mechanism.predict(history, 9), anchors[-1][1])


@every_mechanism
def test_with_few_computed_steps_the_highest_order_they_allow_is_used(name: str) -> None:
    spec = parse_mechanism(name)
    steps, cubic = [0, 2, 3, 7], [1.0, -2.0, 0.5, 0.25]
    for anchors in range(1, CLAIMS[name].anchors):
        # two computed steps determine a line and nothing more
        kind = "newton" if spec.kind == "foca" else spec.kind
        expected = forecast(MechanismSpec(kind, anchors - 1, spec.cut).id, steps[:anchors], cubic, 9)
        assert forecast(name, steps[:anchors], cubic, 9) == pytest.approx(expected)


@every_mechanism
def test_no_more_computed_steps_are_looked_at_than_stated(name: str) -> None:
    mechanism, kept = built(name), CLAIMS[name].anchors
    recent = [(step, torch.randn(2, SIDE * SIDE, WIDTH, dtype=torch.float64)) for step in (4, 7, 8, 12)]

    def after(first: Tensor) -> Tensor:
        return mechanism.predict(history_of(mechanism, [(0, first), *recent[-kept:]]), 15)

    forecasts = [after(torch.randn(2, SIDE * SIDE, WIDTH, dtype=torch.float64)) for _ in range(2)]
    assert torch.allclose(*forecasts, atol=1e-12, rtol=0)


@every_mechanism
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_factors_have_the_dtype_and_the_bytes_of_a_residual(name: str, dtype: torch.dtype) -> None:
    mechanism = built(name)
    residuals = [torch.randn(2, SIDE * SIDE, WIDTH).to(dtype) for _ in range(6)]
    history = history_of(mechanism, list(zip(range(0, 18, 3), residuals, strict=True)))
    assert len(history.factors) == CLAIMS[name].factors
    for factor in history.factors:
        assert factor.dtype == dtype and factor.shape == residuals[0].shape
        assert factor.untyped_storage().nbytes() == residuals[0].untyped_storage().nbytes()
    predicted = mechanism.predict(history, 17)
    assert predicted.dtype == dtype and predicted.shape == residuals[0].shape


@every_mechanism
def test_siblings_may_share_a_history(name: str) -> None:
    mechanism = built(name)
    shared = history_of(mechanism, [(step, feature(step**2)) for step in (0, 1, 4, 5)])
    before = [factor.clone() for factor in shared.factors]
    for step in (6, 7):
        mechanism.update(shared, step, torch.randn(2, SIDE * SIDE, WIDTH, dtype=torch.float64))
    mechanism.predict(shared, 9)
    assert all(torch.equal(factor, old) for factor, old in zip(shared.factors, before, strict=True))


def test_foca_is_the_published_rule_where_gaps_are_even_and_the_line_of_its_corrector_elsewhere() -> None:
    def by_rule(values: dict[int, float], target: int) -> float:
        (f0, s0), (f1, s1), (f2, s2) = ((values[step], step) for step in sorted(values, reverse=True))
        h, g = target - s0, s0 - s1
        newest, older = (f0 - f1) / g, (f1 - f2) / (s1 - s2)
        slope = newest + g * (newest - older) / (s0 - s2)
        w = h / g
        a, b, c = (1 + w) ** 2 / (1 + 2 * w), w**2 / (1 + 2 * w), (1 + w) / (1 + 2 * w)
        if w == 1:
            assert (a, b, c) == pytest.approx((4 / 3, 1 / 3, 2 / 3))
        predicted = a * f0 - b * f1 + h * c * slope
        return f0 + h / 2 * (slope + (predicted - f0) / h)

    for steps in ([0, 6, 12], [1, 2, 8], [0, 5, 6]):
        for target in (13, 15, 18, 30):
            expected = by_rule({step: float(step**2) for step in steps}, target)
            assert forecast("foca", steps, [0.0, 0.0, 1.0], target) == pytest.approx(expected)
    expected = {9: 79.625, 11: 109.75, 13: 139.3125}
    assert {t: forecast("foca", [0, 1, 2, 8], [0.0, 0.0, 1.0], t) for t in expected} == pytest.approx(expected)


def test_freqca_holds_the_lowest_cosines_still() -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    side, mechanism = 8, FreqCa(1)
    older, newest = torch.randn(2, 2, side * side, WIDTH, dtype=torch.float64)
    history = history_of(mechanism, [(0, older), (4, newest)])
    got = mechanism.predict(history, 10)

    def spectrum(tokens: Tensor) -> Tensor:
        grid = tokens.unflatten(1, (side, side)).numpy()
        return torch.from_numpy(scipy_fft.dctn(grid, axes=(1, 2), norm="ortho"))

    line = newest + (newest - older) * 6 / 4
    expected = spectrum(line)
    expected[:, :2, :2] = spectrum(newest)[:, :2, :2]
    assert torch.allclose(spectrum(got), expected, atol=1e-10, rtol=0)


def test_freqca_refuses_tokens_that_are_no_square() -> None:
    mechanism = FreqCa(2)
    history = mechanism.update(mechanism.reset(), 0, torch.zeros(1, 12, 2))
    with pytest.raises(BadInputError, match="12 image tokens are no square grid"):
        mechanism.update(history, 1, torch.zeros(1, 12, 2))
