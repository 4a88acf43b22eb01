"""The calls users make on their own pipelines."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor

import recache_ray as recache
from recache_ray.caching import cut
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.production import cached, disable, enable
from recache_ray.errors import BadInputError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.testing.row_counter import RowCounter
from recache_ray.testing.tiny_flux import SIDE, TEXT_TOKENS, tiny_flux_pipeline
from recache_ray.types import MechanismSpec

PLAN = schedule(0, 1, 4)


@pytest.fixture
def expected(pipe: Any, embeds: dict[str, Tensor]) -> Tensor:
    with ScheduleInterceptor(pipe.transformer, [PLAN], TaylorSeer(1)):
        return latents(pipe, embeds)


def test_a_model_of_a_class_of_ones_own_runs_once_its_cut_is_registered(
    pipe: Any, embeds: dict[str, Tensor], expected: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = type(pipe.transformer)
    members = {name: member for name, member in vars(known).items() if name not in ("__dict__", "__weakref__")}
    monkeypatch.setattr(cut, "_ENTRIES", dict(cut._ENTRIES))
    monkeypatch.setattr(pipe.transformer, "__class__", type("OwnTransformer", known.__bases__, members))
    with pytest.raises(BadInputError, match="OwnTransformer: cannot be cached"):
        enable(pipe, PLAN)
    flux = cut._ENTRIES[known.__name__]
    recache.register_stack(
        "OwnTransformer",
        recache.StackEntry(flux.blocks, flux.batched, flux.shared, flux.block_inputs, flux.ends, flux.modulated),
    )
    with cached(pipe, PLAN):
        assert torch.equal(latents(pipe, embeds), expected)


def test_cached_computes_the_schedule_and_ends(pipe: Any, embeds: dict[str, Tensor], expected: Tensor) -> None:
    untouched = latents(pipe, embeds)
    with cached(pipe, PLAN), RowCounter(pipe.transformer) as counter:
        assert torch.equal(latents(pipe, embeds), expected)
        assert torch.equal(latents(pipe, embeds), expected)
    assert counter.rows == [2 * PLAN.budget] * 3
    assert torch.equal(latents(pipe, embeds), untouched)


def test_a_full_schedule_is_bit_identical_to_the_untouched_pipeline(pipe: Any, embeds: dict[str, Tensor]) -> None:
    untouched = latents(pipe, embeds)
    with cached(pipe, Schedule.full(NUM_STEPS)):
        assert torch.equal(latents(pipe, embeds), untouched)


def test_different_prompts_in_one_call_stay_apart(pipe: Any) -> None:
    prompts = ["a small green star", "a large white triangle", "a red circle"]
    call = {"height": SIDE, "width": SIDE, "num_inference_steps": NUM_STEPS, "output_type": "latent"}
    call["max_sequence_length"] = 16
    with cached(pipe, PLAN, "newton2"):
        seeds = [torch.Generator().manual_seed(seed) for seed in range(3)]
        together = pipe(prompts, generator=seeds, **call).images
        for seed, prompt in enumerate(prompts):
            alone = pipe(prompt, generator=torch.Generator().manual_seed(seed), **call).images
            assert torch.allclose(together[seed : seed + 1], alone, atol=1e-5, rtol=0)


def test_classifier_free_guidance_needs_no_setting(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor]
) -> None:
    with cached(pipe, PLAN), RowCounter(pipe.transformer) as counter:
        latents(pipe, {**embeds, **negative}, true_cfg_scale=3.0)
    assert counter.rows == [2 * PLAN.budget] * 3


def test_enable_replaces_and_disable_may_be_repeated(pipe: Any, embeds: dict[str, Tensor], expected: Tensor) -> None:
    untouched = latents(pipe, embeds)
    enable(pipe, schedule(0), "reuse")
    enable(pipe, PLAN, MechanismSpec("taylor", 1))
    assert torch.equal(latents(pipe, embeds), expected)
    disable(pipe)
    disable(pipe)
    assert torch.equal(latents(pipe, embeds), untouched)


@pytest.mark.parametrize("steps", [NUM_STEPS - 1, NUM_STEPS + 1, 2 * NUM_STEPS])
def test_another_number_of_steps_is_refused_before_anything_is_computed(
    pipe: Any, embeds: dict[str, Tensor], steps: int
) -> None:
    with (
        RowCounter(pipe.transformer) as counter,
        cached(pipe, PLAN),
        pytest.raises(BadInputError, match=f"runs {steps} steps, the schedule has num_steps = {NUM_STEPS}"),
    ):
        latents(pipe, embeds, num_inference_steps=steps)
    assert counter.rows == [0, 0, 0]


def test_a_generation_abandoned_half_way_does_not_leak_into_the_next(
    pipe: Any, embeds: dict[str, Tensor], expected: Tensor
) -> None:
    def stop(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if index == 2:
            raise KeyboardInterrupt
        return tensors

    with cached(pipe, PLAN):
        with pytest.raises(KeyboardInterrupt):
            latents(pipe, embeds, callback_on_step_end=stop)
        assert torch.equal(latents(pipe, embeds), expected)


def test_offloading_that_rewraps_the_transformer_after_each_generation_keeps_the_schedule(
    pipe: Any, embeds: dict[str, Tensor], expected: Tensor
) -> None:
    add_hook_to_module(pipe.transformer, ModelHook())
    try:
        with cached(pipe, PLAN):
            assert torch.equal(latents(pipe, embeds), expected)
            remove_hook_from_module(pipe.transformer)
            add_hook_to_module(pipe.transformer, ModelHook())
            assert torch.equal(latents(pipe, embeds), expected)
    finally:
        remove_hook_from_module(pipe.transformer)


def test_wrong_arguments_are_refused_and_leave_the_pipeline_alone(pipe: Any, embeds: dict[str, Tensor]) -> None:
    untouched = latents(pipe, embeds)
    with pytest.raises(BadInputError, match="mechanism = 'tailor'"):
        enable(pipe, PLAN, "tailor")
    with pytest.raises(BadInputError, match="object: has no transformer"):
        enable(object(), PLAN)
    assert torch.equal(latents(pipe, embeds), untouched)


TABLE = ScheduleTable(
    NUM_STEPS, {2: schedule(0, 4), 3: PLAN, 5: schedule(0, 1, 2, 4, 6)}, {"id": "tiny"}, {"id": "newton2"}
)


def test_a_budget_chooses_from_a_table_with_the_mechanism_it_was_learned_with(
    pipe: Any, embeds: dict[str, Tensor]
) -> None:
    with cached(pipe, PLAN, "newton2"):
        expected = latents(pipe, embeds)
    with cached(pipe, TABLE, budget=3) as followed:
        assert followed == PLAN
        assert torch.equal(latents(pipe, embeds), expected)
    for budget in ("x2.3", "45%"):
        with cached(pipe, TABLE, budget=budget) as followed:
            assert followed == PLAN
    with cached(pipe, TABLE, "reuse", budget=3):
        assert not torch.equal(latents(pipe, embeds), expected)


def test_a_budget_chooses_from_a_policy(pipe: Any, embeds: dict[str, Tensor]) -> None:
    policy = BudgetPolicy(NUM_STEPS, [2, 3, 4])
    policy.set_validated({3: schedule(0, 5, 6)})
    with cached(pipe, policy, budget=3) as followed, RowCounter(pipe.transformer) as counter:
        latents(pipe, embeds)
    assert followed.compute_steps == (0, 5, 6)
    assert counter.rows == [3] * 3
    with cached(pipe, policy, budget="30%") as followed:
        assert followed == policy.schedule(2)


def test_every_call_has_its_own_budget(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with RowCounter(pipe.transformer) as counter:
        for budget in (2, 5, 3):
            with cached(pipe, TABLE, budget=budget):
                latents(pipe, embeds)
    assert counter.rows == [2 + 5 + 3] * 3


def test_a_budget_between_learned_ones_takes_the_nearest_below_and_says_so(pipe: Any) -> None:
    with pytest.warns(UserWarning, match="budget = 4: not a learned one, the nearest below is 3 of 7 steps") as seen:
        assert enable(pipe, TABLE, budget=4) == PLAN
    disable(pipe)
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    ("source", "budget", "message"),
    [
        (PLAN, 3, "a schedule has its own .3.; leave it out"),
        (TABLE, None, "must be given with a ScheduleTable"),
        (TABLE, 6, "budget = 6: outside this table, which has 2, 3, 5"),
        (TABLE, "x7", "budget = 'x7', 1 of 7 steps: outside this table"),
        (TABLE, "250ms", "no time of a step was measured"),
        (BudgetPolicy(NUM_STEPS, [2, 3]), 4, r"outside the learned budgets 2\.\.3"),
        (BudgetPolicy(NUM_STEPS, [2, 3]), None, "must be given with a BudgetPolicy"),
        ([0, 3], None, "must be given with a list"),
        ([0, 3], 2, "list: not a Schedule, ScheduleTable or BudgetPolicy"),
        (ScheduleTable(7, {3: PLAN}, {"id": "w", "pipeline_class": "WanPipeline"}), 3, "learned for w .WanPipeline."),
    ],
)
def test_budgets_and_tables_that_do_not_fit_are_refused(pipe: Any, source: Any, budget: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        enable(pipe, source, budget=budget)


def test_resolution_and_number_of_pictures_may_change_between_calls(pipe: Any, embeds: dict[str, Tensor]) -> None:
    shapes = [{}, {"height": 2 * SIDE}, {"count": 2}, {}]
    expected = []
    for shape in shapes:
        with cached(pipe, PLAN):
            expected.append(latents(pipe, embeds, **shape))
    with cached(pipe, PLAN):
        for shape, alone in zip(shapes, expected, strict=True):
            assert torch.equal(latents(pipe, embeds, **shape), alone)


def test_a_lora_swapped_while_enabled_takes_effect_at_the_next_generation() -> None:
    peft = pytest.importorskip("peft")
    pipe = tiny_flux_pipeline(seed=0)
    tokens, pooled, _ = pipe.encode_prompt("a red star", max_sequence_length=TEXT_TOKENS)
    embeds = {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}
    torch.manual_seed(0)
    for name in ("first", "second"):
        config = peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
        pipe.transformer.add_adapter(config, adapter_name=name)
    expected = {}
    for name in ("first", "second"):
        pipe.transformer.set_adapter(name)
        with cached(pipe, PLAN):
            expected[name] = latents(pipe, embeds)
    assert not torch.equal(expected["first"], expected["second"])
    with cached(pipe, PLAN):
        for name in ("first", "second", "first"):
            pipe.transformer.set_adapter(name)
            assert torch.equal(latents(pipe, embeds), expected[name])


def test_pipelines_in_several_threads_do_not_influence_each_other(embeds: dict[str, Tensor]) -> None:
    pipes = [tiny_flux_pipeline(seed=seed) for seed in range(3)]
    plans = [PLAN, schedule(0, 3), schedule(0, 2, 3, 5)]

    def run(index: int, into: dict[int, Tensor]) -> None:
        with torch.no_grad(), cached(pipes[index], plans[index]):
            into[index] = latents(pipes[index], embeds)

    alone: dict[int, Tensor] = {}
    for index in range(3):
        run(index, alone)
    together: dict[int, Tensor] = {}
    threads = [threading.Thread(target=run, args=(index, together)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(together[index], alone[index]) for index in range(3))


def test_two_threads_in_one_pipeline_are_refused_rather_than_mixed(pipe: Any, embeds: dict[str, Tensor]) -> None:
    refused: list[str] = []

    def second_thread(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if index == 2:
            thread = threading.Thread(target=lambda: latents(pipe, embeds))
            thread.start()
            thread.join()
        return tensors

    untouched = latents(pipe, embeds)
    with cached(pipe, PLAN):
        try:
            latents(pipe, embeds, callback_on_step_end=second_thread)
        except BadInputError as error:
            refused.append(str(error))
    assert "two threads run it at once" in refused[0]
    assert torch.equal(latents(pipe, embeds), untouched)
