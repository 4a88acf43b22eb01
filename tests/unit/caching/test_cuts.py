"""Mechanisms whose cached steps run part of the model: per module, rear blocks alone, and with a probe."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor, nn

from recache_ray.caching.delta import DeltaDiT, first_cached_block
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.module_cut import PerModule
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.stack_interceptor import attached_interceptor
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.caching.two_anchor import ScheduledTwoAnchor
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import SIDE, TEXT_TOKENS, tiny_adapter

PARTIAL = [PerModule(Reuse()), PerModule(TaylorSeer(2)), DeltaDiT(), ScheduledTwoAnchor()]


def by_id(mechanism: CachingMechanism) -> str:
    return mechanism.id


partial_mechanisms = pytest.mark.parametrize("mechanism", PARTIAL, ids=by_id)


def random_schedules(count: int, seed: int) -> list[Schedule]:
    draw = random.Random(seed)
    picks = [draw.sample(range(1, NUM_STEPS), draw.randint(0, NUM_STEPS - 2)) for _ in range(count)]
    return [Schedule.from_steps(NUM_STEPS, {0, *steps}) for steps in picks]


@contextmanager
def rows_run(parts: dict[str, nn.Module]) -> Iterator[Counter[str]]:
    """Batch rows that go through each of these modules, none of which has a hook of ours."""
    rows: Counter[str] = Counter()

    def listen(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            rows[name] += args[0].shape[0]

        return hook

    handles = [module.register_forward_pre_hook(listen(name)) for name, module in parts.items()]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


class Memory:
    """Values by name and step; what was not computed is drawn from the last two computed ones."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.seen: dict[object, list[tuple[int, Tensor]]] = {}

    def at(self, name: object, step: int, compute: Callable[[], Tensor] | None) -> Tensor:
        seen = self.seen.setdefault(name, [])
        if compute is not None:
            seen.append((step, compute()))
            return seen[-1][1]
        newest, last = seen[-1]
        if self.order == 0 or len(seen) == 1:
            return last
        older, before = seen[-2]
        return last + (last - before) / (newest - older) * (step - newest)


def per_module(
    model: Any, memory: Memory, step: int, computes: bool, text: Tensor, image: Tensor, **given: Any
) -> Tensor:
    """The blocks of FLUX written out, so that each attention and MLP output can be remembered."""
    emb, rotary = given["temb"], given["image_rotary_emb"]

    def kept(name: object, compute: Callable[[], Tensor]) -> Tensor:
        return memory.at(name, step, compute if computes else None)

    for place, block in enumerate(model.transformer_blocks):
        image_in, gate, shift, scale, mlp_gate = block.norm1(image, emb=emb)
        text_in, text_gate, text_shift, text_scale, text_mlp_gate = block.norm1_context(text, emb=emb)

        def attend(place: int, block: Any = block, image_in: Tensor = image_in, text_in: Tensor = text_in) -> Tensor:
            return block.attn(hidden_states=image_in, encoder_hidden_states=text_in, image_rotary_emb=rotary)[place]

        image = image + gate[:, None] * kept((place, "image"), lambda attend=attend: attend(0))
        text = text + text_gate[:, None] * kept((place, "text"), lambda attend=attend: attend(1))
        image_mlp = block.norm2(image) * (1 + scale[:, None]) + shift[:, None]
        text_mlp = block.norm2_context(text) * (1 + text_scale[:, None]) + text_shift[:, None]
        image = image + mlp_gate[:, None] * kept((place, "mlp"), lambda b=block, x=image_mlp: b.ff(x))
        text = text + text_mlp_gate[:, None] * kept((place, "text mlp"), lambda b=block, x=text_mlp: b.ff_context(x))
    joint = torch.cat([text, image], dim=1)
    for place, block in enumerate(model.single_transformer_blocks):
        normed, gate = block.norm(joint, emb=emb)

        def total(block: Any = block, normed: Tensor = normed) -> Tensor:
            attended = block.attn(hidden_states=normed, image_rotary_emb=rotary)
            return block.proj_out(torch.cat([attended, block.act_mlp(block.proj_mlp(normed))], dim=2))

        joint = joint + gate[:, None] * kept(("single", place), total)
    return joint[:, text.shape[1] :]


def rear_reused(
    model: Any, memory: Memory, step: int, computes: bool, text: Tensor, image: Tensor, **given: Any
) -> Tensor:
    """The first of the three blocks runs at every step, the change that the other two make is remembered."""
    first, *rear = (*model.transformer_blocks, *model.single_transformer_blocks)
    text, image = first(hidden_states=image, encoder_hidden_states=text, **given)

    def change() -> Tensor:
        rear_text, rear_image = text, image
        for block in rear:
            rear_text, rear_image = block(hidden_states=rear_image, encoder_hidden_states=rear_text, **given)
        return rear_image - image

    return image + memory.at("rear", step, change if computes else None)


def by_hand(pipe: Any, embeds: dict[str, Tensor], plan: Schedule, blocks: Callable[..., Tensor], order: int) -> Any:
    """A forward of the transformer that caches as the definition says, without hooks."""
    model, memory = pipe.transformer, Memory(order)
    steps = iter(range(plan.num_steps))

    def forward(hidden_states: Tensor, timestep: Tensor, img_ids: Tensor, txt_ids: Tensor, **_: Any) -> tuple[Tensor]:
        step = next(steps)
        emb = model.time_text_embed(timestep * 1000, embeds["pooled_prompt_embeds"])
        image = blocks(
            model,
            memory,
            step,
            step in plan.compute_steps,
            model.context_embedder(embeds["prompt_embeds"]),
            model.x_embedder(hidden_states),
            temb=emb,
            image_rotary_emb=model.pos_embed(torch.cat([txt_ids, img_ids])),
        )
        return (model.proj_out(model.norm_out(image, emb)),)

    return forward


@pytest.mark.parametrize(
    ("mechanism", "blocks", "order"),
    [
        (PerModule(Reuse()), per_module, 0),
        (PerModule(TaylorSeer(1)), per_module, 1),
        (DeltaDiT(), rear_reused, 0),
    ],
    ids=["fora", "taylor1_modules", "delta"],
)
@pytest.mark.parametrize("steps", [(0,), (0, 1, 4), (0, 2, 6)])
def test_cached_steps_follow_the_definition(
    pipe: Any,
    embeds: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    mechanism: CachingMechanism,
    blocks: Callable[..., Tensor],
    order: int,
    steps: tuple[int, ...],
) -> None:
    plan = schedule(*steps)
    with monkeypatch.context() as patch:
        patch.setattr(pipe.transformer, "forward", by_hand(pipe, embeds, plan, blocks, order))
        expected = latents(pipe, embeds)
    with ScheduleInterceptor(pipe.transformer, [plan], mechanism):
        got = latents(pipe, embeds)
    assert torch.allclose(got, expected, atol=1e-5, rtol=0)
    with ScheduleInterceptor(pipe.transformer, [plan], Reuse()):
        assert not torch.allclose(got, latents(pipe, embeds), atol=1e-3, rtol=0)


@partial_mechanisms
def test_every_step_computed_is_bit_identical_to_the_untouched_pipeline(
    pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism
) -> None:
    untouched = latents(pipe, embeds)
    with ScheduleInterceptor(pipe.transformer, [Schedule.full(NUM_STEPS)], mechanism) as interceptor:
        assert torch.equal(latents(pipe, embeds), untouched)
    assert interceptor.forwards_executed == interceptor.forwards_requested == NUM_STEPS
    assert torch.equal(latents(pipe, embeds), untouched)


@partial_mechanisms
def test_siblings_in_a_batch_equal_siblings_run_alone(
    pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism
) -> None:
    siblings = random_schedules(8, seed=1)
    with ScheduleInterceptor(pipe.transformer, siblings, mechanism) as interceptor:
        together = latents(pipe, embeds, count=len(siblings))
        assert torch.equal(latents(pipe, embeds, count=len(siblings)), together)
    prefixes = {sibling.prefix(step) for sibling in siblings for step in sibling.compute_steps}
    assert interceptor.forwards_executed == 2 * len(prefixes)
    assert interceptor.forwards_requested == 2 * sum(sibling.budget for sibling in siblings)
    for row, sibling in enumerate(siblings):
        with ScheduleInterceptor(pipe.transformer, [sibling], mechanism):
            alone = latents(pipe, embeds)
        assert torch.allclose(together[row : row + 1], alone, atol=1e-5, rtol=0), str(sibling)


def test_no_module_runs_but_for_computed_prefixes(pipe: Any, embeds: dict[str, Tensor]) -> None:
    double, single = pipe.transformer.transformer_blocks[0], pipe.transformer.single_transformer_blocks[0]
    inside = {"attention": double.attn.to_q, "mlp": double.ff.net[0], "text mlp": double.ff_context.net[0]}
    inside |= {"single attention": single.attn.to_q}
    siblings = random_schedules(8, seed=2)
    with (
        rows_run({**inside, "modulation": double.norm1.linear}) as rows,
        ScheduleInterceptor(pipe.transformer, siblings, PerModule(TaylorSeer(1))) as interceptor,
    ):
        latents(pipe, embeds, count=len(siblings))
    states = {(*sibling.prefix(step), step) for sibling in siblings for step in range(NUM_STEPS)}
    assert {rows[name] for name in inside} == {interceptor.forwards_executed}
    assert rows["modulation"] == len(states)  # a state that forecasts is shared as well


@pytest.mark.parametrize("mechanism", [DeltaDiT(), ScheduledTwoAnchor()], ids=by_id)
def test_the_front_blocks_run_at_every_step(pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism) -> None:
    double, singles = pipe.transformer.transformer_blocks[0], pipe.transformer.single_transformer_blocks
    siblings = random_schedules(8, seed=3)
    parts = {"front": double.attn.to_q, "rear": singles[0].attn.to_q, "last": singles[1].attn.to_q}
    with rows_run(parts) as rows, ScheduleInterceptor(pipe.transformer, siblings, mechanism) as interceptor:
        latents(pipe, embeds, count=len(siblings))
    states = {(*sibling.prefix(step), step) for sibling in siblings for step in range(NUM_STEPS)}
    assert rows["front"] == len(states)
    assert rows["rear"] == rows["last"] == interceptor.forwards_executed


@pytest.mark.parametrize(("blocks", "running"), [(57, 19), (60, 20), (6, 2), (3, 1), (2, 1), (1, 0)])
def test_a_third_of_the_blocks_runs(blocks: int, running: int) -> None:
    assert first_cached_block(blocks) == running


@partial_mechanisms
@pytest.mark.parametrize("count", [1, 2])
def test_guidance_in_two_calls_keeps_histories_apart(
    pipe: Any, embeds: dict[str, Tensor], negative: dict[str, Tensor], mechanism: CachingMechanism, count: int
) -> None:
    both, plans = {**embeds, **negative}, random_schedules(count, seed=4)
    with ScheduleInterceptor(pipe.transformer, plans, mechanism, forwards_per_step=2) as interceptor:
        first = latents(pipe, both, count=count, true_cfg_scale=3.0)
        assert torch.equal(latents(pipe, both, count=count, true_cfg_scale=3.0), first)
    prefixes = {plan.prefix(step) for plan in plans for step in plan.compute_steps}
    assert interceptor.forwards_executed == 2 * 2 * len(prefixes)
    # with equal branches guidance has nothing to push apart
    same = {**embeds, **{f"negative_{name}": tensor for name, tensor in embeds.items()}}
    with ScheduleInterceptor(pipe.transformer, plans, mechanism, forwards_per_step=2):
        guided = latents(pipe, same, count=count, true_cfg_scale=3.0)
    with ScheduleInterceptor(pipe.transformer, plans, mechanism):
        assert torch.allclose(guided, latents(pipe, embeds, count=count), atol=1e-4, rtol=0)


class Boom(Exception):
    pass


@partial_mechanisms
@pytest.mark.parametrize("count", [1, 3])
def test_an_exception_inside_the_pipeline_leaves_no_trace(
    pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism, count: int
) -> None:
    def boom(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if index == 3:
            raise Boom
        return tensors

    untouched = latents(pipe, embeds)
    attributes = {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    with pytest.raises(Boom), ScheduleInterceptor(pipe.transformer, random_schedules(count, 5), mechanism) as on:
        assert attached_interceptor(pipe.transformer) is on
        latents(pipe, embeds, count=count, callback_on_step_end=boom)
    assert attributes == {name: set(vars(module)) for name, module in pipe.transformer.named_modules()}
    assert attached_interceptor(pipe.transformer) is None
    assert torch.equal(latents(pipe, embeds), untouched)


def test_cuts_exclude_each_other(pipe: Any) -> None:
    for outer, inner in [(Reuse(), PARTIAL[0]), (PARTIAL[0], Reuse()), (PARTIAL[0], DeltaDiT())]:
        with (
            ScheduleInterceptor(pipe.transformer, [schedule(0)], outer),
            pytest.raises(BadInputError, match="already attached"),
            ScheduleInterceptor(pipe.transformer, [schedule(0)], inner),
        ):
            pass


@pytest.mark.parametrize("mechanism", [Reuse(), *PARTIAL], ids=by_id)
def test_memory_is_the_stated_number_of_factors_per_cached_tensor(
    pipe: Any, embeds: dict[str, Tensor], mechanism: CachingMechanism
) -> None:
    held: list[int] = []

    def weigh(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        interceptor._settle()
        factors = [
            factor
            for histories in interceptor._histories._branches.values()
            for slots in histories.values()
            for history in slots.values()
            for factor in history.factors
        ]
        held.append(sum(factor.untyped_storage().nbytes() for factor in factors))
        return tensors

    with ScheduleInterceptor(pipe.transformer, [schedule(0, 1, 2, 3, 5)], mechanism) as interceptor:
        latents(pipe, embeds, callback_on_step_end=weigh)
    image, text, width, float32 = (SIDE // 4) ** 2, TEXT_TOKENS, 32, 4
    # the double block: attention and MLP of both streams; two single blocks: the joint stream
    tokens = 2 * (image + text) + 2 * (image + text) if isinstance(mechanism, PerModule) else image
    most = {"taylor2_modules": 3, "dcta": 4}.get(mechanism.id, 1)
    each = 2 if mechanism.id == "dcta" else 1  # the probe beside the residual
    assert held[:3] == [min(most, each * (step + 1)) * tokens * width * float32 for step in range(3)]
    assert held[4] == most * tokens * width * float32


def test_the_cost_of_a_cached_step_is_what_still_runs() -> None:
    adapter = tiny_adapter(num_steps=6)
    embeds = adapter.encode("a red circle")
    reuse, fora, delta = (measure_step_cost(adapter, embeds, m) for m in (Reuse(), PerModule(Reuse()), DeltaDiT()))
    assert reuse.computed_flops == fora.computed_flops == delta.computed_flops
    image, text, width, joint = (SIDE // 4) ** 2, TEXT_TOKENS, 32, 24
    embed_text = 2 * text * joint * width
    # a row of the timestep embedding makes 6 vectors for each stream of the double block, 3 for each single block
    modulation = 2 * (2 * width * 6 * width + 2 * width * 3 * width)
    assert fora.cached_flops == reuse.cached_flops + embed_text + modulation
    tokens = image + text
    double = 2 * 2 * width * 6 * width + 2 * 12 * width * width * tokens + 4 * width * tokens * tokens
    assert delta.cached_flops == pytest.approx(reuse.cached_flops + embed_text + double, rel=1e-6)
    # the block that this model has in front is what dcta probes
    assert measure_step_cost(adapter, embeds, ScheduledTwoAnchor()).cached_flops == delta.cached_flops
    assert reuse.cached_flops < fora.cached_flops < delta.cached_flops < delta.computed_flops
    third = Schedule(6, (0, 3))
    assert delta.flops_ratio(third) < fora.flops_ratio(third) < reuse.flops_ratio(third) < 3
