import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.evaluation.report.scales import Scale, linear, logarithmic, toward_one

MAKERS = {
    "linear": (linear, 2.0, 37.0),
    "logarithmic": (logarithmic, 0.003, 0.4),
    "toward_one": (toward_one, 0.6, 0.999),
}


@pytest.mark.parametrize("name", MAKERS)
def test_ends_land_on_the_ends_and_order_is_kept(name: str) -> None:
    make, low, high = MAKERS[name]
    scale = make(low, high, 300.0, 10.0)
    assert (scale(low), scale(high)) == (pytest.approx(300.0), pytest.approx(10.0))
    assert scale(high + 0.0005) == pytest.approx(10.0)
    values = [low + (high - low) * i / 50 for i in range(51)]
    assert [scale(v) for v in values] == sorted((scale(v) for v in values), reverse=True)
    assert scale.ticks and all(low - 1e-9 <= tick <= high + 1e-9 for tick in scale.ticks)


@given(st.floats(1e-5, 1e3), st.floats(1.2, 1e4))
def test_log_ticks_are_few_and_cover_the_range(low: float, factor: float) -> None:
    ticks = logarithmic(low, low * factor, 0.0, 1.0).ticks
    assert len(ticks) <= 13 and list(ticks) == sorted(ticks)
    if factor > 10:
        assert ticks[0] <= low * 10 and ticks[-1] >= low * factor / 10


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_linear_ticks_are_round_and_neither_sparse_nor_crowded(low: float, span: float) -> None:
    scale: Scale = linear(low, low + span, 0.0, 1.0)
    assert 2 <= len(scale.ticks) <= 9
    step = scale.ticks[1] - scale.ticks[0]
    assert round(step / 10 ** math.floor(math.log10(step * 1.0001)), 6) in (1.0, 2.0, 5.0, 10.0)


def test_a_constant_series_still_has_an_axis() -> None:
    scale = linear(0.5, 0.5, 0.0, 10.0)
    assert scale(0.5) == pytest.approx(5.0) and scale.ticks
    assert linear(0.0, 0.0, 0.0, 10.0)(0.0) == pytest.approx(5.0)
