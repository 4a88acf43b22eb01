"""The same model compiled, with a LoRA, quantised or offloaded: caching neither breaks nor notices it.

One model per guidance mode: embedded, two calls, one doubled batch; compiled the first alone, since a whole transformer
is traced anew at every decision. Without ``--device cuda`` offloading has nowhere to go, but accelerate's hooks, which
replace the transformer's forward, are real.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate import cpu_offload_with_hook
from contract_runs import TOLERANCE, BlockRows, Model, T, distance, identical, make, random_schedules, run

from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.production import cached
from recache_ray.schedules import Schedule

MODES = ["flux", "wan", "sd3"]
FULL = [Schedule.full(T)]
PLAN = Schedule(T, (0, 2, 3))
TAYLOR = TaylorSeer(1)


def conform(model: Model) -> None:
    """The contract in short: bit-exact when full, blocks counted, siblings equal, state reset."""
    untouched = run(model, FULL)
    with cached(model.pipeline, FULL[0], "taylor"):
        assert identical(run(model, FULL), untouched)
    siblings = [*random_schedules(2, seed=8), PLAN]
    with BlockRows(model) as counter:
        together = run(model, siblings, TAYLOR)
    assert [rows[0] for rows in counter.calls[:: model.calls]] == [
        model.rows * len({each.prefix(step) for each in siblings if each.computes(step)}) for step in range(T)
    ]
    alone = run(model, [PLAN], TAYLOR)
    assert distance(together.latents[-1][-1], alone.latents[-1][0]) < TOLERANCE
    with cached(model.pipeline, PLAN, "taylor"):
        assert identical(run(model, FULL), alone)
        assert identical(run(model, FULL), alone)
    assert identical(run(model, FULL), untouched)


@pytest.mark.usefixtures("fresh_compiler")
def test_a_compiled_transformer(device: str) -> None:
    model = make("flux", device=device)
    plain, plain_cached = run(model, FULL), run(model, [PLAN], TAYLOR)
    model.pipeline.transformer = torch.compile(model.pipeline.transformer, backend="eager")
    assert distance(run(model, FULL).latents[-1], plain.latents[-1]) < TOLERANCE
    assert distance(run(model, [PLAN], TAYLOR).latents[-1], plain_cached.latents[-1]) < TOLERANCE
    siblings = [PLAN, *random_schedules(2, seed=8)]
    assert distance(run(model, siblings, TAYLOR).latents[-1][:1], plain_cached.latents[-1]) < TOLERANCE
    assert distance(run(model, FULL).latents[-1], plain.latents[-1]) < TOLERANCE


@pytest.mark.parametrize("kind", MODES)
def test_a_lora(kind: str, device: str) -> None:
    peft = pytest.importorskip("peft")
    model = make(kind, device=device)
    before = run(model, FULL)
    config = peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    model.pipeline.transformer.add_adapter(config)
    assert distance(run(model, FULL).latents[-1], before.latents[-1]) > TOLERANCE
    conform(model)


@pytest.mark.parametrize("kind", MODES)
def test_a_transformer_in_int8(kind: str, device: str) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    model = make(kind, device=device)
    before = run(model, FULL)
    quantization.quantize_(model.pipeline.transformer, quantization.Int8WeightOnlyConfig())
    assert not identical(run(model, FULL), before)
    conform(model)


@pytest.mark.parametrize("kind", MODES)
def test_offloading_after_every_generation(kind: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(kind, device=device)
    before = run(model, FULL)
    pipeline, offloads = model.pipeline, []

    def offload(**_: Any) -> None:
        pipeline.remove_all_hooks()
        _, hook = cpu_offload_with_hook(pipeline.transformer, torch.device(device))
        pipeline._all_hooks = [hook]
        offloads.append(hook)

    monkeypatch.setattr(pipeline, "enable_model_cpu_offload", offload, raising=False)
    offload()
    assert identical(run(model, FULL), before)
    conform(model)
    assert len(offloads) > 5  # the pipeline does it again at every generation's end
