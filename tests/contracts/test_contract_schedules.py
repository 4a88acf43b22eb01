"""What a schedule does to a pipeline, whatever the model and the mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from contract_runs import TOLERANCE, BlockRows, Model, Run, T, distance, identical, random_schedules, run
from diffusers.hooks._helpers import TransformerBlockRegistry
from torch import Tensor, nn

from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.production import cached
from recache_ray.schedules import Schedule

FULL = [Schedule.full(T)]


def test_every_step_computed_is_bit_identical_to_the_untouched_pipeline(
    model: Model, untouched: Run, mechanism: CachingMechanism
) -> None:
    with cached(model.pipeline, FULL[0], mechanism.id):
        assert identical(run(model, FULL), untouched)
    assert identical(run(model, FULL), untouched)
    assert len(untouched.latents) == T


def test_siblings_together_equal_siblings_alone(model: Model, untouched: Run, mechanism: CachingMechanism) -> None:
    siblings = [*random_schedules(2, seed=1), FULL[0]]
    together = run(model, siblings, mechanism)
    for row, sibling in enumerate(siblings):
        alone = run(model, [sibling], mechanism)
        assert distance(together.latents[-1][row], alone.latents[-1][0]) < TOLERANCE, str(sibling)
        off = np.abs(together.generation.images[row].astype(int) - alone.generation.images[0]).max()
        assert off <= 1, str(sibling)
        if sibling.budget < T:
            assert distance(alone.latents[-1][0], untouched.latents[-1][0]) > 10 * TOLERANCE, str(sibling)


def test_blocks_run_for_distinct_prefixes_alone_in_every_step_and_branch(model: Model) -> None:
    for siblings in ([Schedule(T, (0, 2, 3))], random_schedules(5, seed=2), [*random_schedules(3, seed=3), *FULL]):
        with BlockRows(model) as counter:
            generation = run(model, siblings, TaylorSeer(1)).generation
        expected = []
        for step in range(T):
            prefixes = {sibling.prefix(step) for sibling in siblings if sibling.computes(step)}
            expected += [[model.rows * len(prefixes)] * len(model.blocks)] * model.calls
        assert counter.calls == expected
        assert generation.forwards_executed == sum(rows[0] for rows in expected)
        budgets = sum(sibling.budget for sibling in siblings)
        assert generation.forwards_requested == model.adapter.spec.evaluations_per_step * budgets


@pytest.mark.parametrize(("rule", "order"), [(Reuse(), 0), (TaylorSeer(1), 1)], ids=["reuse", "taylor1"])
def test_cached_steps_follow_the_definition_in_each_branch(model: Model, rule: CachingMechanism, order: int) -> None:
    plan = Schedule(T, (0, 2, 3))
    with StackResiduals(model) as watched:
        run(model, [plan], rule)
    for branch in range(model.calls):
        residuals = watched.residuals[branch :: model.calls]
        for step in range(T):
            if plan.computes(step):
                continue
            older, newest = ([None, *(each for each in plan.compute_steps if each < step)])[-2:]
            expected = residuals[newest]
            if order and older is not None:
                expected = expected + (residuals[newest] - residuals[older]) / (newest - older) * (step - newest)
            assert (residuals[step] - expected).abs().max() < watched.rounding
    changed = watched.residuals[2 * model.calls] - watched.residuals[0]
    assert changed.abs().max() > 10 * watched.rounding  # or nothing above would tell anything


class StackResiduals:
    """The image tokens that leave the last block minus those that enter the first, in every transformer call."""

    def __init__(self, model: Model) -> None:
        self._first, self._last = model.blocks[0], model.blocks[-1]
        self._place = TransformerBlockRegistry.get(type(self._last)).return_hidden_states_index
        self.residuals: list[Tensor] = []
        self.rounding = 0.0

    def __enter__(self) -> StackResiduals:
        self._handles = (
            self._first.register_forward_pre_hook(self._enter, with_kwargs=True),
            self._last.register_forward_hook(self._leave),
        )
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._entered = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        tokens = output[self._place] if isinstance(output, tuple) else output
        self.residuals.append(tokens - self._entered)
        self.rounding = max(self.rounding, 1e-5 * float(tokens.abs().max()))
