"""What mechanisms keep, measured on themselves, and what an interceptor really keeps alive."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
from torch import Tensor

from recache_ray.caching.footprint import Footprint, footprint
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.registry import build_gated_mechanism
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.types import MechanismSpec

NUM_STEPS = 8
RESIDUAL_BYTES = 16 * 32 * 4  # image tokens x features x float32 of the tiny model


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (MechanismSpec("reuse"), Footprint(1, 2, False)),
        (MechanismSpec("taylor", 0), Footprint(1, 2, False)),
        (MechanismSpec("taylor", 1), Footprint(2, 4, False)),
        (MechanismSpec("taylor", 2), Footprint(3, 6, False)),
        (MechanismSpec("newton", 2), Footprint(3, 6, False)),
        (MechanismSpec("hermite", 4), Footprint(5, 10, False)),
        (MechanismSpec("dcta"), Footprint(4, 6, True)),
    ],
    ids=lambda value: value.id if isinstance(value, MechanismSpec) else "",
)
def test_factors_of_every_mechanism(spec: MechanismSpec, expected: Footprint) -> None:
    assert footprint(build_gated_mechanism(spec)) == expected


class Watched:
    """A mechanism that knows which of the tensors it handed out are still alive."""

    def __init__(self, rule: CachingMechanism) -> None:
        self._rule = rule
        self._alive: dict[int, weakref.ref[Tensor]] = {}
        self.peak_bytes = 0
        self.id = rule.id
        self.reset, self.predict = rule.reset, rule.predict

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        grown = self._rule.update(history, step, feature)
        for factor in grown.factors:
            self._alive[id(factor)] = weakref.ref(factor)
        self.peak_bytes = max(self.peak_bytes, self.held_bytes())
        return grown

    def held_bytes(self) -> int:
        tensors = [tensor for tensor in (reference() for reference in self._alive.values()) if tensor is not None]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
        return sum(storages.values())


@pytest.mark.parametrize(
    "spec", [MechanismSpec("reuse"), MechanismSpec("taylor", 1), MechanismSpec("newton", 2)], ids=lambda spec: spec.id
)
@pytest.mark.parametrize("siblings", [1, 3])
def test_an_interceptor_holds_what_is_foretold(spec: MechanismSpec, siblings: int) -> None:
    adapter = tiny_adapter(num_steps=NUM_STEPS)
    rule = Watched(build_gated_mechanism(spec))  # type: ignore[arg-type]
    # all part at step 1 or 2 and compute steps 4 and 5 together, so each has a full history of its own
    schedules = [Schedule.from_steps(NUM_STEPS, {0, *own, 4, 5}) for own in ({1}, {2}, {1, 2})[:siblings]]
    held: list[int] = []

    def after(module: Any, args: Any, output: Any) -> None:
        held.append(rule.held_bytes())

    handle = adapter.transformer.register_forward_hook(after)
    try:
        adapter.run(adapter.encode("a red circle"), 0, schedules, rule)
    finally:
        handle.remove()
    assert len(held) == NUM_STEPS
    foretold = footprint(build_gated_mechanism(spec))
    unit = siblings * RESIDUAL_BYTES
    assert held[5] == held[6] == unit * foretold.held == max(held)
    # histories grow one after the other, so that only one of the siblings' old ones lives beside its new one
    assert unit * foretold.held < rule.peak_bytes <= unit * foretold.peak
    assert siblings > 1 or rule.peak_bytes == unit * foretold.peak
    assert rule.held_bytes() == 0
