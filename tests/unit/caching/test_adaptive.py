"""Gates inside a real pipeline: what they decide is recorded, and replaying it as a schedule gives the same bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from flux_runs import NUM_STEPS, latents
from torch import Tensor

from recache_ray.caching.adaptive import AdaptiveInterceptor
from recache_ray.caching.gates.gate import StepSignals
from recache_ray.caching.gates.registry import GATES, build_gate
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules import Schedule
from recache_ray.testing.row_counter import RowCounter
from recache_ray.types import GateSpec

TABLES = {"teacache": (1.0, 0.0), "magcache": (1.0, *(0.9,) * (NUM_STEPS - 1))}
PROBING = ("fbcache", "dicache")


def interceptor(
    pipe: Any, kind: str, threshold: float, mechanism: CachingMechanism | None = None
) -> AdaptiveInterceptor:
    gate = build_gate(GateSpec(kind, threshold, 1, TABLES.get(kind, ()), max_skips=3), NUM_STEPS)
    return AdaptiveInterceptor(pipe.transformer, gate, mechanism or TaylorSeer(1), NUM_STEPS)


def threshold_between(pipe: Any, embeds: dict[str, Tensor], kind: str) -> float:
    """A threshold at which the gate computes some steps more than it must, and not all."""
    with interceptor(pipe, kind, 1e30) as run:
        latents(pipe, embeds)
    least = run.schedule.budget
    for exponent in range(40):
        threshold = 4.0 * 0.8**exponent
        with interceptor(pipe, kind, threshold) as run:
            latents(pipe, embeds)
        if least < run.schedule.budget < NUM_STEPS:
            return threshold
    raise AssertionError(f"{kind}: no threshold between")


@pytest.fixture(scope="module")
def thresholds(pipe: Any, embeds: dict[str, Tensor]) -> dict[str, float]:
    return {kind: threshold_between(pipe, embeds, kind) for kind in GATES}


@pytest.mark.parametrize("kind", GATES)
def test_a_threshold_of_zero_computes_every_step_and_changes_no_bit(
    pipe: Any, embeds: dict[str, Tensor], kind: str
) -> None:
    untouched = latents(pipe, embeds)
    with RowCounter(pipe.transformer) as counter, interceptor(pipe, kind, 0.0) as run:
        assert torch.equal(latents(pipe, embeds), untouched)
    assert run.schedule == Schedule.full(NUM_STEPS)
    assert run.probes == 0
    assert set(counter.rows) == {NUM_STEPS}  # a probe of a computed step is part of it


@pytest.mark.parametrize("mechanism", [Reuse(), TaylorSeer(1)], ids=lambda mechanism: mechanism.id)
@pytest.mark.parametrize("kind", GATES)
def test_replaying_the_schedule_that_arose_gives_the_same_bits(
    pipe: Any, embeds: dict[str, Tensor], thresholds: dict[str, float], kind: str, mechanism: CachingMechanism
) -> None:
    with RowCounter(pipe.transformer) as counter, interceptor(pipe, kind, thresholds[kind], mechanism) as run:
        adaptive = latents(pipe, embeds)
    budget = run.schedule.budget
    with ScheduleInterceptor(pipe.transformer, [run.schedule], mechanism):
        assert torch.equal(latents(pipe, embeds), adaptive)
    probes = NUM_STEPS - budget if kind in PROBING else 0
    assert run.probes == probes
    assert counter.rows == [budget + probes, *[budget] * (len(counter.rows) - 1)]
    assert 1 < budget < NUM_STEPS


@pytest.mark.parametrize("kind", GATES)
def test_each_generation_is_decided_afresh(
    pipe: Any, embeds: dict[str, Tensor], thresholds: dict[str, float], kind: str
) -> None:
    with interceptor(pipe, kind, thresholds[kind]) as run:
        first = latents(pipe, embeds)
        schedule, probes = run.schedule, run.probes
        latents(pipe, embeds, seed=9)
        assert torch.equal(latents(pipe, embeds), first)
    assert (run.schedule, run.probes) == (schedule, probes)


class Boom(Exception):
    pass


def boom(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if index == 3:
        raise Boom
    return tensors


def test_an_exception_leaves_no_trace_and_no_schedule(pipe: Any, embeds: dict[str, Tensor]) -> None:
    untouched = latents(pipe, embeds)
    attributes = {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    with pytest.raises(Boom), interceptor(pipe, "dicache", 0.3) as run:
        latents(pipe, embeds, callback_on_step_end=boom)
    assert attributes == {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    assert attached_interceptor(pipe.transformer) is None
    assert torch.equal(latents(pipe, embeds), untouched)
    with pytest.raises(RunFailedError, match=f"a gate decided 4 of {NUM_STEPS} steps"):
        _ = run.schedule


def test_an_abandoned_generation_is_forgotten_by_reset(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with interceptor(pipe, "easycache", 0.3) as run:
        expected = latents(pipe, embeds)
        with pytest.raises(Boom):
            latents(pipe, embeds, callback_on_step_end=boom)
        run.reset()
        assert torch.equal(latents(pipe, embeds), expected)


class Listener:
    """Computes the steps it is told; keeps what it was asked and what it saw beyond the end of the generation."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps
        self.asked: list[int] = []
        self.seen: list[StepSignals] = []

    def reset(self) -> None: ...

    def compute(self, step: int, signals: StepSignals) -> bool:
        self.asked.append(step)
        self.seen.append(signals)
        return step in self.steps


def test_signals_are_the_transformers_own(pipe: Any, embeds: dict[str, Tensor]) -> None:
    model = pipe.transformer
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    read: list[Tensor] = []
    handles = [
        model.register_forward_pre_hook(lambda m, a, k: inputs.append(k["hidden_states"]), with_kwargs=True),
        model.register_forward_hook(lambda m, a, output: outputs.append(output[0])),
        model.transformer_blocks[0].attn.register_forward_pre_hook(
            lambda m, a, k: read.append(k["hidden_states"]), with_kwargs=True
        ),
    ]
    gate = Listener(0, 2, 3)
    with AdaptiveInterceptor(model, gate, Reuse(), NUM_STEPS) as run:
        latents(pipe, embeds)
    for handle in handles:
        handle.remove()
    assert run.schedule.compute_steps == (0, 2, 3)
    assert gate.asked == list(range(NUM_STEPS))
    assert run.probes == 0  # signals that are not read cost nothing
    newest = [None, 0, 0, 2, 3, 3, 3]
    with torch.no_grad():
        for step, signals in enumerate(gate.seen):
            assert torch.equal(signals.latents, inputs[step])
            computed = newest[step]
            assert signals.velocity is None if computed is None else signals.velocity is outputs[computed]
            assert torch.equal(signals.probe_in, model.x_embedder(inputs[step]))
        for step, attention_input in zip((0, 2, 3), read, strict=True):
            assert torch.equal(gate.seen[step].modulated, attention_input)


def test_with_guidance_the_first_call_of_a_step_decides_for_both(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor]
) -> None:
    both = {**embeds, **negative}
    for kind in ("fbcache", "easycache"):
        with RowCounter(pipe.transformer) as counter, interceptor(pipe, kind, 0.2) as run:
            adaptive = latents(pipe, both, true_cfg_scale=3.0)
        budget = run.schedule.budget
        probes = NUM_STEPS - budget if kind == "fbcache" else 0
        assert counter.rows == [2 * budget + probes, *[2 * budget] * (len(counter.rows) - 1)]
        with ScheduleInterceptor(pipe.transformer, [run.schedule], TaylorSeer(1), forwards_per_step=2):
            assert torch.equal(latents(pipe, both, true_cfg_scale=3.0), adaptive)


def test_a_gate_and_a_schedule_exclude_each_other(pipe: Any) -> None:
    with (
        interceptor(pipe, "fbcache", 0.1),
        pytest.raises(BadInputError, match="already attached"),
        ScheduleInterceptor(pipe.transformer, [Schedule.full(NUM_STEPS)], Reuse()),
    ):
        pass
    assert attached_interceptor(pipe.transformer) is None


def test_a_branch_without_a_computed_step_is_reported(pipe: Any, embeds: dict[str, Tensor]) -> None:
    run = interceptor(pipe, "fbcache", 0.1)
    run._entered, run._step, run._branch = torch.zeros(1, 2, 2), 3, "uncond"
    run.reset()
    with pytest.raises(BadInputError, match="step 3: this guidance branch was not called at a computed step"):
        run.forecast_stack()
