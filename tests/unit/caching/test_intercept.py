"""The interceptor inside a real pipeline: bit-exact where nothing is cached, equal to running alone where it is."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor

from recache_ray.caching.block_call import BlockCall
from recache_ray.caching.cut import block_stack
from recache_ray.caching.foca import FoCa
from recache_ray.caching.freqca import FreqCa
from recache_ray.caching.hermite import HiCache
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.newton import Newton
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.row_counter import RowCounter
from recache_ray.testing.tiny_flux import tiny_flux_pipeline

MECHANISMS = [Reuse(), TaylorSeer(1), TaylorSeer(2), Newton(2), HiCache(2), FoCa(), FreqCa(2)]


def by_id(mechanism: CachingMechanism) -> str:
    return mechanism.id


def random_schedules(count: int, seed: int) -> list[Schedule]:
    draw = random.Random(seed)
    picks = [draw.sample(range(1, NUM_STEPS), draw.randint(0, NUM_STEPS - 2)) for _ in range(count)]
    return [Schedule.from_steps(NUM_STEPS, {0, *steps}) for steps in picks]


def hooks_left(pipe: Any) -> list[str]:
    return [
        name
        for name, module in pipe.transformer.named_modules()
        if "forward" in vars(module) or getattr(getattr(module, "_diffusers_hook", None), "hooks", None)
    ]


def by_hand(pipe: Any, embeds: dict[str, Tensor], plan: Schedule, order: int, prefix: str = "") -> Any:
    """A denoiser that caches as the definition says, written without hooks; each has its own history."""
    model = pipe.transformer
    stack_in: list[Tensor] = []
    seen: list[tuple[int, Tensor]] = []
    step = -1

    def denoise(hidden_states: Tensor, timestep: Tensor, img_ids: Tensor, txt_ids: Tensor, **_: Any) -> Tensor:
        nonlocal step
        step += 1
        text = embeds[f"{prefix}prompt_embeds"]
        image = model.x_embedder(hidden_states)
        emb = model.time_text_embed(timestep * 1000, embeds[f"{prefix}pooled_prompt_embeds"])
        stack_in.append(image)
        if step in plan.compute_steps:
            text = model.context_embedder(text)
            rotary = model.pos_embed(torch.cat([txt_ids, img_ids]))
            for block in (*model.transformer_blocks, *model.single_transformer_blocks):
                text, image = block(hidden_states=image, encoder_hidden_states=text, temb=emb, image_rotary_emb=rotary)
            seen.append((step, image - stack_in[-1]))
        else:
            (newest, last), older = seen[-1], seen[-2:-1]
            image = stack_in[-1] + last
            if order == 1 and older:
                image = image + (last - older[0][1]) / (newest - older[0][0]) * (step - newest)
        return model.proj_out(model.norm_out(image, emb))

    return denoise


@pytest.fixture
def replaced_forward(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the pipeline with other denoisers in place of the transformer's forward, taken in turn."""

    def run(denoisers: list[Any], embeds: dict[str, Tensor], **options: Any) -> Tensor:
        calls = iter(range(10**6))

        def forward(**kwargs: Any) -> tuple[Tensor]:
            return (denoisers[next(calls) % len(denoisers)](**kwargs),)

        with monkeypatch.context() as patch:
            patch.setattr(pipe.transformer, "forward", forward)
            return latents(pipe, embeds, **options)

    return run


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=by_id)
def test_every_step_computed_is_bit_identical_to_the_untouched_pipeline(
    pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism
) -> None:
    untouched = latents(pipe, embeds)
    with ScheduleInterceptor(pipe.transformer, [Schedule.full(NUM_STEPS)], mechanism) as interceptor:
        assert torch.equal(latents(pipe, embeds), untouched)
    assert interceptor.forwards_executed == interceptor.forwards_requested == NUM_STEPS
    assert torch.equal(latents(pipe, embeds), untouched)


@pytest.mark.parametrize(("mechanism", "order"), [(Reuse(), 0), (TaylorSeer(1), 1), (Newton(1), 1)])
@pytest.mark.parametrize("steps", [(0,), (0, 1, 4), (0, 3, 4), (0, 2, 6)])
def test_cached_steps_follow_the_definition(
    pipe: Any,
    embeds: dict[str, Tensor],
    replaced_forward: Any,
    mechanism: CachingMechanism,
    order: int,
    steps: tuple[int, ...],
) -> None:
    plan = schedule(*steps)
    expected = replaced_forward([by_hand(pipe, embeds, plan, order)], embeds)
    with ScheduleInterceptor(pipe.transformer, [plan], mechanism):
        got = latents(pipe, embeds)
    assert torch.allclose(got, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(got, latents(pipe, embeds), atol=1e-3, rtol=0)


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=by_id)
def test_siblings_in_a_batch_equal_siblings_run_alone(
    pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism
) -> None:
    siblings = random_schedules(12, seed=1)
    with (
        RowCounter(pipe.transformer) as counter,
        ScheduleInterceptor(pipe.transformer, siblings, mechanism) as interceptor,
    ):
        together = latents(pipe, embeds, count=len(siblings))
    prefixes = {sibling.prefix(step) for sibling in siblings for step in sibling.compute_steps}
    assert interceptor.forwards_executed == len(prefixes)
    assert set(counter.rows) == {len(prefixes)}
    assert interceptor.forwards_requested == sum(sibling.budget for sibling in siblings)
    for row, sibling in enumerate(siblings):
        with ScheduleInterceptor(pipe.transformer, [sibling], mechanism):
            alone = latents(pipe, embeds)
        assert torch.allclose(together[row : row + 1], alone, atol=1e-5, rtol=0), str(sibling)


def test_the_whole_tree_of_schedules_costs_its_distinct_prefixes(pipe: Any, embeds: dict[str, Tensor]) -> None:
    everything = [
        Schedule.from_steps(NUM_STEPS, {0, *(1 + bit for bit in range(NUM_STEPS - 1) if number >> bit & 1)})
        for number in range(2 ** (NUM_STEPS - 1))
    ]
    with ScheduleInterceptor(pipe.transformer, everything, Reuse()) as interceptor:
        latents(pipe, embeds, count=len(everything))
    assert interceptor.forwards_executed == 2 ** (NUM_STEPS - 1)  # each schedule is one prefix: the one it ends with
    assert interceptor.forwards_requested == sum(plan.budget for plan in everything)


def test_a_second_generation_starts_afresh(pipe: Any, embeds: dict[str, Tensor]) -> None:
    siblings = random_schedules(4, seed=2)
    for plans in (siblings, siblings[:1]):
        with ScheduleInterceptor(pipe.transformer, plans, TaylorSeer(2)) as interceptor:
            first = latents(pipe, embeds, count=len(plans))
            executed = interceptor.forwards_executed
            assert torch.equal(latents(pipe, embeds, count=len(plans)), first)
            assert interceptor.forwards_executed == 2 * executed


class Boom(Exception):
    pass


def boom_at(step: int) -> Any:
    def callback(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if index == step:
            raise Boom
        return tensors

    return callback


@pytest.mark.parametrize("count", [1, 3])
def test_an_exception_inside_the_pipeline_leaves_no_trace(pipe: Any, embeds: dict[str, Tensor], count: int) -> None:
    untouched = latents(pipe, embeds)
    attributes = {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    with pytest.raises(Boom), ScheduleInterceptor(pipe.transformer, random_schedules(count, 3), TaylorSeer(1)):
        assert hooks_left(pipe)
        latents(pipe, embeds, count=count, callback_on_step_end=boom_at(3))
    assert not hooks_left(pipe)
    assert attributes == {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    assert attached_interceptor(pipe.transformer) is None
    assert torch.equal(latents(pipe, embeds), untouched)


def test_an_interrupted_generation_is_recovered_by_reset(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with ScheduleInterceptor(pipe.transformer, [schedule(0, 1, 4)], TaylorSeer(1)) as interceptor:
        expected = latents(pipe, embeds)
        with pytest.raises(Boom):
            latents(pipe, embeds, callback_on_step_end=boom_at(3))
        interceptor.reset()
        assert torch.equal(latents(pipe, embeds), expected)


def test_pipelines_in_one_process_do_not_influence_each_other(pipe: Any, embeds: dict[str, Tensor]) -> None:
    other = tiny_flux_pipeline(seed=1)
    untouched = latents(other, embeds)
    with ScheduleInterceptor(pipe.transformer, [schedule(0, 3)], TaylorSeer(1)):
        alone = latents(pipe, embeds)
    with ScheduleInterceptor(other.transformer, [schedule(0, 1)], Reuse()):
        other_alone = latents(other, embeds)

    def run_other(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if index == 2:
            inner.append(latents(other, embeds))
        return tensors

    inner: list[Tensor] = []
    with ScheduleInterceptor(pipe.transformer, [schedule(0, 3)], TaylorSeer(1)):
        assert torch.equal(latents(other, embeds), untouched)
        with ScheduleInterceptor(other.transformer, [schedule(0, 1)], Reuse()):
            assert torch.equal(latents(pipe, embeds, callback_on_step_end=run_other), alone)
    assert torch.equal(inner[0], other_alone)


def test_guidance_in_two_calls_shares_decisions_and_keeps_histories_apart(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor], replaced_forward: Any
) -> None:
    both = {**embeds, **negative}
    plan = schedule(0, 1, 4)
    branches = [by_hand(pipe, embeds, plan, 1), by_hand(pipe, negative, plan, 1, prefix="negative_")]
    expected = replaced_forward(branches, both, true_cfg_scale=3.0)
    with (
        RowCounter(pipe.transformer) as counter,
        ScheduleInterceptor(pipe.transformer, [plan], TaylorSeer(1), forwards_per_step=2) as interceptor,
    ):
        got = latents(pipe, both, true_cfg_scale=3.0)
    assert torch.allclose(got, expected, atol=1e-5, rtol=0)
    assert interceptor.forwards_executed == 2 * plan.budget
    assert set(counter.rows) == {2 * plan.budget}


def test_guidance_branches_are_told_apart_by_name_or_by_position(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {**embeds, **negative}
    siblings = random_schedules(5, seed=4)
    with ScheduleInterceptor(pipe.transformer, siblings, TaylorSeer(1)) as interceptor:
        named = latents(pipe, both, count=5, true_cfg_scale=2.0)
    prefixes = {sibling.prefix(step) for sibling in siblings for step in sibling.compute_steps}
    assert interceptor.forwards_executed == 2 * len(prefixes)
    monkeypatch.setattr("diffusers.hooks.hooks._set_cache_context", lambda module, context: None)
    with ScheduleInterceptor(pipe.transformer, siblings, TaylorSeer(1), forwards_per_step=2):
        counted = latents(pipe, both, count=5, true_cfg_scale=2.0)
    assert torch.equal(named, counted)


def test_full_schedule_with_guidance_is_bit_identical(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor]
) -> None:
    both = {**embeds, **negative}
    untouched = latents(pipe, both, true_cfg_scale=3.0)
    with ScheduleInterceptor(pipe.transformer, [Schedule.full(NUM_STEPS)], TaylorSeer(1)):
        assert torch.equal(latents(pipe, both, true_cfg_scale=3.0), untouched)


def test_a_batch_that_repeats_the_siblings_maps_back_to_them(pipe: Any, embeds: dict[str, Tensor]) -> None:
    siblings = random_schedules(3, seed=5)
    with ScheduleInterceptor(pipe.transformer, siblings, TaylorSeer(1)):
        once = latents(pipe, embeds, count=3)
    with ScheduleInterceptor(pipe.transformer, siblings, TaylorSeer(1)) as interceptor:
        twice = latents(pipe, embeds, count=6)
    assert torch.allclose(twice, once.repeat(2, 1, 1), atol=1e-5, rtol=0)
    prefixes = {sibling.prefix(step) for sibling in siblings for step in sibling.compute_steps}
    assert interceptor.forwards_executed == 2 * len(prefixes)


def test_return_dict_is_kept(pipe: Any, embeds: dict[str, Tensor]) -> None:
    inputs: dict[str, Any] = {}
    handle = pipe.transformer.register_forward_pre_hook(lambda m, a, k: inputs.update(k), with_kwargs=True)
    latents(pipe, embeds, count=2)
    handle.remove()
    siblings = [schedule(0, num_steps=2), schedule(0, 1, num_steps=2)]
    with torch.no_grad(), ScheduleInterceptor(pipe.transformer, siblings, Reuse()):
        named = pipe.transformer(**{**inputs, "return_dict": True}).sample
        order = ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "img_ids", "txt_ids")
        positional = pipe.transformer(*[inputs[name] for name in order], return_dict=False)[0]
    assert named.shape == positional.shape == inputs["hidden_states"].shape


def test_a_copy_of_the_model_is_independent_after_detaching(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with ScheduleInterceptor(pipe.transformer, [schedule(0)], Reuse()):
        latents(pipe, embeds)
    twin = copy.deepcopy(pipe.transformer)
    assert all("forward" not in vars(module) for module in twin.modules())


def test_wrong_use_is_refused(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with pytest.raises(BadInputError, match=r"Linear: cannot be cached; known classes: .*FluxTransformer2DModel"):
        block_stack(torch.nn.Linear(2, 2))
    with ScheduleInterceptor(pipe.transformer, [schedule(0)], Reuse()) as outer:
        with (
            pytest.raises(BadInputError, match="already attached"),
            ScheduleInterceptor(pipe.transformer, [schedule(0, 1), schedule(0, 2)], Reuse()),
        ):
            pass
        assert attached_interceptor(pipe.transformer) is outer
    with (
        pytest.raises(BadInputError, match="batch of 2 rows: must be a multiple of the 3 schedules"),
        ScheduleInterceptor(pipe.transformer, random_schedules(3, 6), Reuse()),
    ):
        latents(pipe, embeds, count=2)
    with (
        pytest.raises(BadInputError, match="controlnet_block_samples: cannot be split between siblings"),
        ScheduleInterceptor(pipe.transformer, random_schedules(3, 6), Reuse()),
    ):
        pipe.transformer(hidden_states=torch.zeros(3, 4, 16), controlnet_block_samples=[torch.zeros(3, 4, 32)])
    assert not hooks_left(pipe)


def test_a_branch_that_skips_a_computed_step_is_reported(pipe: Any) -> None:
    interceptor = ScheduleInterceptor(pipe.transformer, [schedule(0, 2)], Reuse())
    tokens = torch.zeros(1, 2, 2)
    interceptor.begin("cond")
    interceptor.enter_stack(
        BlockCall(block_stack(pipe.transformer), 0, torch.nn.Identity(), (), {"hidden_states": tokens})
    )
    interceptor.leave_stack(tokens)
    interceptor.begin("cond")
    with pytest.raises(BadInputError, match="not called at computed step 0"):
        interceptor.begin("uncond")
