"""DiCache's two-anchor forecast, by its formula and inside a pipeline."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor

from recache_ray.caching.adaptive import AdaptiveInterceptor
from recache_ray.caching.gates.gate import StepSignals
from recache_ray.caching.gates.registry import build_gate
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.two_anchor import ScheduledTwoAnchor, TwoAnchor
from recache_ray.testing.row_counter import RowCounter
from recache_ray.types import GateSpec


def full(value: float) -> Tensor:
    return torch.full((1, 2, 3), value, dtype=torch.float64)


def after(*computed: tuple[int, float, float]) -> FeatureHistory:
    """The history of (step, residual, probe) triples."""
    rule = TwoAnchor()
    history = rule.reset()
    for step, residual, probe in computed:
        history = rule.update(history, step, full(residual), full(probe))
    return history


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (5.0, 10.0),  # not further than the newest: its residual
        (3.0, 10.0),  # behind it: gamma is at least 1
        (5.5, 11.0),  # 2.5 / 2 = 1.25 of the way from 6 to 10
        (6.0, 12.0),  # 1.5
        (9.0, 12.0),  # and no more
        (-0.5, 12.0),  # distances have no sign: |-0.5 - 3| / 2 = 1.75, at most 1.5
    ],
)
def test_the_residual_moves_as_far_as_the_probe_within_bounds(probe: float, expected: float) -> None:
    history = after((0, 100.0, 0.0), (2, 6.0, 3.0), (5, 10.0, 5.0))
    assert torch.equal(TwoAnchor().predict(history, full(probe)), full(expected))


def test_one_anchor_is_reuse_and_equal_probes_go_no_further_than_the_bound() -> None:
    assert torch.equal(TwoAnchor().predict(after((0, 6.0, 3.0)), full(9.0)), full(6.0))
    still = after((0, 6.0, 3.0), (1, 10.0, 3.0))
    assert torch.equal(TwoAnchor().predict(still, full(4.0)), full(12.0))
    assert len(after((0, 1.0, 1.0), (1, 2.0, 2.0), (4, 3.0, 3.0), (5, 4.0, 4.0)).factors) == 4


def test_it_runs_under_any_gate_and_the_first_block_runs_at_every_step(pipe: Any, embeds: dict[str, Tensor]) -> None:
    pictures = {}
    for kind in ("dicache", "easycache"):
        for rule in (TwoAnchor(), Reuse()):
            gate = build_gate(GateSpec(kind, 1e9), NUM_STEPS)
            with (
                RowCounter(pipe.transformer) as counter,
                AdaptiveInterceptor(pipe.transformer, gate, rule, NUM_STEPS) as run,
            ):
                pictures[kind, rule.id] = latents(pipe, embeds)
            probed = kind == "dicache" or rule.id == "dcta"
            assert run.probes == (NUM_STEPS - run.schedule.budget if probed else 0)
            assert counter.rows[0] == run.schedule.budget + run.probes
    # dicache computes the first step alone before its last, so there is one anchor; easycache computes two
    assert torch.equal(pictures["dicache", "dcta"], pictures["dicache", "reuse"])
    assert not torch.equal(pictures["easycache", "dcta"], pictures["easycache", "reuse"])


class Decided:
    """A gate that has made up its mind."""

    def reset(self) -> None:
        pass

    def compute(self, step: int, signals: StepSignals) -> bool:
        return step in PLAN.compute_steps


PLAN = schedule(0, 2, 3, 5)


def test_under_a_schedule_it_gives_the_bits_that_it_gives_under_a_gate(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with AdaptiveInterceptor(pipe.transformer, Decided(), TwoAnchor(), NUM_STEPS) as run:
        adaptive = latents(pipe, embeds)
    assert run.schedule == PLAN
    with ScheduleInterceptor(pipe.transformer, [PLAN], ScheduledTwoAnchor()):
        assert torch.equal(latents(pipe, embeds), adaptive)
    with ScheduleInterceptor(pipe.transformer, [PLAN], Reuse()):
        assert not torch.equal(latents(pipe, embeds), adaptive)
