"""Nothing of one generation reaches another, and nothing of an interceptor outlives it."""

from __future__ import annotations

from typing import Any

import pytest
from contract_runs import Model, T, each_step, identical, random_schedules, run
from torch import Tensor

from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.production import cached
from recache_ray.schedules import Schedule

PLAN = Schedule(T, (0, 2))
FULL = [Schedule.full(T)]
TAYLOR = TaylorSeer(1)


class Boom(Exception):
    pass


def boom_after(steps: int) -> Any:
    seen: list[Tensor] = []

    def after(latents: Tensor) -> None:
        seen.append(latents)
        if len(seen) == steps:
            raise Boom

    return after


def traces(model: Model) -> dict[str, set[str]]:
    return {name: set(vars(module)) for name, module in model.pipeline.transformer.named_modules()}


def test_a_second_generation_starts_afresh(model: Model) -> None:
    expected = run(model, [PLAN], TAYLOR)
    with cached(model.pipeline, PLAN, "taylor"):
        assert identical(run(model, FULL), expected)
        assert identical(run(model, FULL), expected)
    siblings = random_schedules(3, seed=4)
    assert identical(run(model, siblings, TAYLOR), run(model, siblings, TAYLOR))


def test_a_generation_abandoned_half_way_does_not_leak_into_the_next(model: Model) -> None:
    expected = run(model, [PLAN], TAYLOR)
    with cached(model.pipeline, PLAN, "taylor"):
        with pytest.raises(Boom), each_step(model.pipeline, boom_after(3)):
            model.adapter.run(model.embeddings, 9, FULL)
        assert identical(run(model, FULL), expected)


@pytest.mark.parametrize("count", [1, 3])
def test_an_exception_inside_the_pipeline_leaves_no_trace(model: Model, count: int) -> None:
    untouched, before = run(model, FULL), traces(model)
    with pytest.raises(Boom), each_step(model.pipeline, boom_after(3)):
        model.adapter.run(model.embeddings, 9, random_schedules(count, seed=5), TAYLOR)
    assert traces(model) == before
    assert attached_interceptor(model.pipeline.transformer) is None
    assert identical(run(model, FULL), untouched)


def test_pipelines_in_one_process_do_not_influence_each_other(model: Model, other: Model) -> None:
    alone, other_untouched = run(model, [PLAN], TAYLOR), run(other, FULL)
    siblings = random_schedules(2, seed=6)
    other_siblings = run(other, siblings, TAYLOR)
    assert not identical(alone, run(other, [PLAN], TAYLOR))
    inner = []

    def run_other(latents: Tensor) -> None:
        if len(inner) < 2:
            inner.append(run(other, siblings, TAYLOR) if inner else run(other, FULL))

    with (
        ScheduleInterceptor(model.pipeline.transformer, [PLAN], TAYLOR, model.calls),
        each_step(model.pipeline, run_other),
    ):
        mixed = run(model, FULL)
    assert identical(mixed, alone)
    assert identical(inner[0], other_untouched)
    assert identical(inner[1], other_siblings)
