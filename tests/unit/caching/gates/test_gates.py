"""Every gate against decisions worked out by hand on signals that are single numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recache_ray.caching.gates.change import relative_l1
from recache_ray.caching.gates.gate import Gate
from recache_ray.caching.gates.registry import GATES, build_gate
from recache_ray.caching.gates.teacache import fit_polynomial
from recache_ray.errors import BadInputError
from recache_ray.types import GateSpec


@dataclass
class Numbers:
    """Signals made of one number each; ``velocity`` is that of the newest computed step."""

    value: float
    velocity: Tensor | None = None

    @property
    def latents(self) -> Tensor:
        return torch.full((1, 2, 3), self.value, dtype=torch.float64)

    modulated = probe_out = latents

    @property
    def probe_in(self) -> Tensor:
        return torch.zeros(1, 2, 3, dtype=torch.float64)


def decisions(gate: Gate, values: list[float], outputs: list[float] | None = None) -> str:
    """One generation: 1 where the gate computes."""
    gate.reset()
    mask, velocity = "", None
    for step, value in enumerate(values):
        computes = gate.compute(step, Numbers(value, velocity))
        mask += "1" if computes else "0"
        if computes and outputs is not None:
            velocity = torch.full((1, 2, 3), outputs[step], dtype=torch.float64)
    return mask


def test_teacache_accumulates_the_polynomial_of_the_change() -> None:
    gate = build_gate(GateSpec("teacache", 0.5, table=(2.0, 0.1)), 8)  # 2 x + 0.1
    # changes of the input: 1/10, 1/11, 0, 12/12 ...; rescaled .3, .2818, .1, 2.1
    assert decisions(gate, [10, 11, 12, 12, 24, 24, 24, 24]) == "10101001"
    # .3 | .3 + .2818 >= .5: compute | .1 | 2.2: compute | .1 | .2 | last
    negative = build_gate(GateSpec("teacache", 0.5, table=(2.0, -1.0)), 6)
    assert decisions(negative, [10, 10, 10, 18, 18, 18]) == "100101"  # 2 x 0.8 - 1 = 0.6 at once, not after -2


def test_magcache_multiplies_ratios_and_respects_its_longest_gap() -> None:
    ratios = (1.0, 0.9, 0.9, 0.9, 0.5, 1.0, 1.0, 1.0)
    # errors: .1 | .1 + .19 = .29 | + .271 = .561: compute | .5 | .5 + .5 = 1: compute | 0 | 0
    assert decisions(build_gate(GateSpec("magcache", 0.52, table=ratios), 8), [0] * 8) == "10010100"
    capped = GateSpec("magcache", 100.0, table=ratios, max_skips=2)
    assert decisions(build_gate(capped, 8), [0] * 8) == "10010010"


def test_magcache_on_the_published_ratios_of_flux() -> None:
    flux = (1, 1.21094, 1.11719, 1.07812, 1.0625, 1.03906, 1.03125, 1.03906, 1.02344, 1.03125, 1.02344, 0.98047,
            1.01562, 1.00781, 1, 1.00781, 1, 1.00781, 1, 1, 0.99609, 0.99609, 0.98047, 0.98828, 0.96484, 0.95703,
            0.93359, 0.89062)  # fmt: skip
    by_hand, ratio, error, skipped = "", 1.0, 0.0, 0
    for step, value in enumerate(flux):
        ratio, skipped = ratio * value, skipped + 1
        error += abs(1 - ratio)
        skip = step >= 2 and error <= 0.24 and skipped <= 5
        if not skip:
            ratio, error, skipped = 1.0, 0.0, 0
        by_hand += "0" if skip else "1"
    assert decisions(build_gate(GateSpec("magcache", 0.24, 2, flux, 5), 28), [0] * 28) == by_hand
    assert 8 <= by_hand.count("1") <= 14


def test_easycache_scales_the_move_of_the_latents_by_the_last_known_rate() -> None:
    gate = build_gate(GateSpec("easycache", 0.5), 8)
    latents = [0, 1, 2, 3, 4, 5, 6, 7]
    outputs = [10, 12, 12, 20, 20, 20, 20, 20]
    # steps 0 and 1 give K = 2 / 1; each step then adds 2 * 1 / 12 = 1/6: .17, .33, .5 -> step 4 is computed, with
    # output 20: K = 8 / 3, each step adds 8/3 / 20 = .133: .13, .27 and the last is computed
    assert decisions(gate, latents, outputs) == "11001001"


def test_first_block_cache_compares_with_the_newest_computed_step() -> None:
    gate = build_gate(GateSpec("fbcache", 0.25), 7)
    # 10: 11 (.1) and 12 (.2) are near, 13 (.3) is not; then 13 is what counts
    assert decisions(gate, [10, 11, 12, 13, 14, 16, 15]) == "1001000"
    assert decisions(gate, [10, 13, 10, 10, 11, 13, 12.9]) == "1100000"  # 10 is nearer to 13 than 13 to 10


def test_dicache_accumulates_the_change_of_the_probe_from_step_to_step() -> None:
    gate = build_gate(GateSpec("dicache", 0.25), 7)
    # .1 | + 1/11 = .19 | + 1/12 = .274: compute | 1/13 = .077 | + 1/14 = .148 | last
    assert decisions(gate, [10, 11, 12, 13, 14, 15, 16]) == "1001001"


def spec_of(kind: str, threshold: float, warm_steps: int = 1, num_steps: int = 12) -> GateSpec:
    tables = {"teacache": (0.5, 1.0, 0.01), "magcache": (1.0, *(0.9,) * (num_steps - 1))}
    return GateSpec(kind, threshold, warm_steps, tables.get(kind, ()), max_skips=3)


SIGNALS = st.lists(st.floats(0.5, 2.0), min_size=12, max_size=12, unique=True)


@settings(max_examples=25)
@given(values=SIGNALS, warm_steps=st.integers(1, 5))
@pytest.mark.parametrize("kind", GATES)
def test_thresholds_of_nothing_and_of_everything(kind: str, values: list[float], warm_steps: int) -> None:
    outputs = [3.0 * value + step for step, value in enumerate(values)]
    assert decisions(build_gate(spec_of(kind, 0.0, warm_steps), 12), values, outputs) == "1" * 12
    forced = {
        "teacache": {*range(warm_steps), 11},
        "magcache": {*range(warm_steps), *range(warm_steps - 1, 12, 4)},
        "easycache": {*range(max(2, warm_steps)), 11},
        "fbcache": set(range(warm_steps)),
        "dicache": {*range(warm_steps), 11},
    }[kind]
    expected = "".join("1" if step in forced else "0" for step in range(12))
    assert decisions(build_gate(spec_of(kind, 1e30, warm_steps), 12), values, outputs) == expected


@settings(max_examples=25)
@given(values=SIGNALS, other=SIGNALS, threshold=st.floats(0.01, 3.0))
@pytest.mark.parametrize("kind", GATES)
def test_a_generation_leaves_nothing_behind_and_starts_with_a_computed_step(
    kind: str, values: list[float], other: list[float], threshold: float
) -> None:
    outputs = [3.0 * value for value in values]
    fresh = decisions(build_gate(spec_of(kind, threshold), 12), values, outputs)
    used = build_gate(spec_of(kind, threshold), 12)
    decisions(used, other, outputs)
    assert decisions(used, values, outputs) == fresh
    assert fresh[0] == "1"


def test_zero_signals_are_computed_rather_than_divided_by() -> None:
    zero = torch.zeros(2)
    assert relative_l1(torch.ones(2), zero) == relative_l1(zero, zero) == math.inf
    for kind in ("teacache", "fbcache", "dicache", "easycache"):
        assert decisions(build_gate(spec_of(kind, 5.0), 12), [0.0] * 12, [0.0] * 12) == "1" * 12


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (GateSpec("teecache", 0.1), "did you mean teacache"),
        (GateSpec("clock", 0.1), "known: teacache, magcache, easycache, fbcache, dicache"),
        (GateSpec("fbcache", -0.1), r"threshold = -0.1: must be at least 0"),
        (GateSpec("fbcache", math.nan), "threshold = nan"),
        (GateSpec("dicache", 0.1, warm_steps=0), "warm_steps = 0: must be at least 1"),
        (GateSpec("teacache", 0.1), "table is empty"),
        (GateSpec("magcache", 0.1, table=(1.0,) * 5), "table of 5 ratios: must be one per step, 12"),
        (GateSpec("magcache", 0.1, table=(1.0,) * 12, max_skips=0), "max_skips = 0"),
    ],
)
def test_specs_out_of_range_are_refused(spec: GateSpec, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        build_gate(spec, 12)


def test_the_fit_finds_the_polynomial_and_is_the_least_squares_one() -> None:
    inputs = np.linspace(0.01, 0.3, 40)
    truth = (498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861)  # FLUX, as published
    assert fit_polynomial(inputs, np.polyval(truth, inputs)) == pytest.approx(truth, rel=1e-6)
    noisy = np.polyval(truth, inputs) + np.random.default_rng(0).normal(0, 0.1, 40)
    fitted = np.array(fit_polynomial(inputs, noisy))

    def squares(coefficients: np.ndarray) -> float:
        return float(((np.polyval(coefficients, inputs) - noisy) ** 2).sum())

    for index in range(5):
        for sign in (1, -1):
            moved = fitted.copy()
            moved[index] += sign * 1e-3 * max(1.0, abs(fitted[index]))
            assert squares(moved) > squares(fitted)


def test_a_fit_without_enough_data_is_refused() -> None:
    with pytest.raises(BadInputError, match="3 input and 2 output changes"):
        fit_polynomial([0.1, 0.2, 0.3], [0.1, 0.2])
    with pytest.raises(BadInputError, match="all finite"):
        fit_polynomial([0.1, math.inf], [0.1, 0.2])
    with pytest.raises(BadInputError, match="3 distinct input changes for degree 4"):
        fit_polynomial([0.1, 0.2, 0.3] * 4, [0.1] * 12)
