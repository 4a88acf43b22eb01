"""FLOPs of the published models against published figures, and counting one block of each kind against counting all."""

from __future__ import annotations

from dataclasses import replace

import diffusers
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from recache_ray.caching.cut import block_stack
from recache_ray.caching.footprint import footprint
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.caching.two_anchor import TwoAnchor
from recache_ray.diffusion.architecture import (
    Architecture,
    LatentGrid,
    Size,
    architecture,
    architecture_names,
    architecture_of_folder,
    architecture_of_hub,
)
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.diffusion.forward_cost import build_on_meta, count_forward, planned_step, transformer_shape
from recache_ray.diffusion.shapes import model_path
from recache_ray.diffusion.transformer_family import family_of
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import tiny_adapter

# Image tokens, TFLOPs of one forward, and of these attention products. FLUX.1-dev's 50 steps are
# published as 3719.50 TFLOPs (TaylorSeer, arXiv 2503.06923); without attention products Wan 1.3B's 100 forwards are
# published as 8.21 and HunyuanVideo's 50 at 544x960 as 45.93 PFLOPs (MagCache, arXiv 2506.09045).
TABLE = {
    ("flux_dev", Size(1024, 1024)): (4096, 74.385, 14.87),
    ("wan21_1_3b", Size(480, 832, 81)): (32_760, 283.0, 200.9),
    ("wan21_1_3b", Size(480, 832, 65)): (26_520, 198.6, 132.1),
    ("wan21_14b", Size(480, 832, 81)): (32_760, 1678.0, 892.9),
    ("wan21_14b", Size(720, 1280, 81)): (75_600, 6523.0, 4714.0),
    ("hunyuan_video", Size(544, 960, 129)): (67_320, 4285.0, 3367.0),
    ("hunyuan_video", Size(720, 1280, 129)): (118_800, 12_069.0, 10_450.0),
    ("hunyuan_video", Size(480, 640, 65)): (20_400, 595.0, 315.0),
}
PARAMETERS_B = {"flux_dev": 11.90, "wan21_1_3b": 1.42, "wan21_14b": 14.29, "hunyuan_video": 12.82}
PUBLISHED_TOTALS_TF = {"flux_dev": 3719.5, "wan21_1_3b": 28_300.0, "wan21_14b": 167_800.0, "hunyuan_video": 214_300.0}
LINEAR_ONLY_PF = {"wan21_1_3b": 8.21, "hunyuan_video": 45.93}


@pytest.mark.parametrize(("name", "size"), TABLE, ids=str)
def test_flops_within_one_percent_of_the_published_table(name: str, size: Size) -> None:
    tokens, tflops, attention = TABLE[name, size]
    cost = count_forward(architecture(name), size)
    assert transformer_shape(architecture(name), size).image_tokens == tokens
    assert cost.flops / 1e12 == pytest.approx(tflops, rel=0.01)
    assert cost.attention_flops / 1e12 == pytest.approx(attention, rel=0.01)
    assert cost.cached_flops < 0.001 * cost.flops


@pytest.mark.parametrize("name", PUBLISHED_TOTALS_TF)
def test_the_published_protocol_costs_what_papers_say(name: str) -> None:
    model = architecture(name)
    assert model.published is not None
    cost = count_forward(model, model.published.size)
    step = planned_step(cost, model.forwards_per_step, footprint(Reuse()), 1e12)
    full = Schedule.full(model.published.num_steps)
    assert step.flops(full) / 1e12 == pytest.approx(PUBLISHED_TOTALS_TF[name], rel=0.01)
    assert step.seconds(full) == pytest.approx(step.flops(full) / 1e12)
    if name in LINEAR_ONLY_PF:
        forwards = model.forwards_per_step * model.published.num_steps
        assert forwards * (cost.flops - cost.attention_flops) / 1e15 == pytest.approx(LINEAR_ONLY_PF[name], rel=0.01)


@pytest.mark.parametrize("name", PARAMETERS_B)
def test_parameters_are_those_of_the_published_weights(name: str) -> None:
    model = architecture(name)
    assert model.published is not None
    parameters = transformer_shape(model, model.published.size).parameters
    assert parameters / 1e9 == pytest.approx(PARAMETERS_B[name], rel=0.001)
    whole = build_on_meta(model, model.config)
    assert parameters == sum(parameter.numel() for parameter in whole.parameters())


@pytest.mark.parametrize("name", architecture_names())
def test_one_block_of_each_kind_stands_for_all(name: str) -> None:
    model = architecture(name)
    family = family_of(model)
    depths = {key: 2 + place for place, key in enumerate(family.depths.values())}
    small = replace(model, config={**model.config, "num_attention_heads": 2, **depths}, text_tokens=12)
    if name.startswith("wan"):
        small = replace(small, config={**small.config, "ffn_dim": 96})
    grid = LatentGrid(1 if small.vae_temporal == 1 else 3, 8, 12)
    size = Size(64, 96, 1 if small.vae_temporal == 1 else 9)
    assert small.latents(size) == grid
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        build_on_meta(small, small.config)(**family.inputs(small.config, grid, 12))
    assert count_forward(small, size).flops == counter.get_total_flops()


@pytest.mark.parametrize("name", architecture_names())
def test_what_a_cached_step_leaves_out_is_what_interceptors_bypass(name: str) -> None:
    model = architecture(name)
    family = family_of(model)
    transformer = build_on_meta(model, {**model.config, **dict.fromkeys(family.depths.values(), 2)})
    try:
        stack = block_stack(transformer)
    except BadInputError:
        pytest.skip(f"{model.transformer} has no interceptor yet")
    assert [block for blocks in family.depths for block in transformer.get_submodule(blocks).children()] == [
        *stack.blocks
    ]
    assert {transformer.get_submodule(module) for module in family.idle} == {*stack.block_inputs}


def test_the_count_is_what_a_generation_runs() -> None:
    adapter = tiny_adapter(num_steps=4)
    ran = measure_step_cost(adapter, adapter.encode("a red circle"), TaylorSeer(1))
    config = {name: value for name, value in adapter.pipeline.transformer.config.items() if not name.startswith("_")}
    tiny = Architecture("tiny", "FluxTransformer2DModel", config, 2, 1, text_tokens=16, forwards_per_step=1)
    cost = count_forward(tiny, Size(16, 16))
    step = planned_step(cost, 1, footprint(TaylorSeer(1)), 1.0)
    assert (step.computed_flops, step.cached_flops) == (ran.computed_flops, ran.cached_flops)


def test_a_schedule_costs_the_sum_of_its_steps() -> None:
    step = planned_step(count_forward(architecture("flux_dev"), Size(1024, 1024)), 1, footprint(Reuse()), 4e14)
    schedule = Schedule.from_steps(50, range(0, 50, 5))
    each = [step.computed_flops if computes else step.cached_flops for computes in schedule.compute_mask]
    assert step.flops(schedule) == pytest.approx(sum(each))
    assert step.flops_ratio(schedule) == pytest.approx(5.0, rel=0.002)
    assert step.seconds(schedule) == pytest.approx(sum(each) / 4e14)


def test_a_probe_of_one_block_in_57_is_charged_at_every_cached_step() -> None:
    cost = count_forward(architecture("flux_dev"), Size(1024, 1024))
    probed = planned_step(cost, 1, footprint(TwoAnchor()), 1.0)
    assert probed.cached_flops / probed.computed_flops == pytest.approx(0.01754, rel=0.02)
    for budget, ratio in ((9, 5.14), (10, 4.67), (13, 3.66), (21, 2.32)):
        assert probed.flops_ratio(Schedule.from_steps(50, range(budget))) == pytest.approx(ratio, rel=0.01)


def test_guidance_in_two_calls_doubles_a_step() -> None:
    cost = count_forward(architecture("wan21_1_3b"), Size(480, 832, 81))
    once, twice = (planned_step(cost, forwards, footprint(Reuse()), 1.0) for forwards in (1, 2))
    assert twice.computed_flops == 2 * once.computed_flops and twice.cached_flops == 2 * once.cached_flops


def test_hub_ids_and_folders_find_their_architecture() -> None:
    found = architecture_of_hub("black-forest-labs/flux.1-dev")
    assert found is not None and found.name == "flux_dev"
    assert architecture_of_hub("someone/else") is None
    shapes = architecture_of_folder(model_path(), text_tokens=24)
    assert shapes.latents(Size(64, 64)) == LatentGrid(1, 16, 16)
    weights = diffusers.FluxTransformer2DModel.from_pretrained(model_path(), subfolder="transformer")
    assert transformer_shape(shapes, Size(64, 64)).parameters == sum(each.numel() for each in weights.parameters())


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (Size(481, 832, 81), "height = 481 must be a multiple of 8"),
        (Size(480, 0, 81), "width = 0 must be a multiple of 8"),
        (Size(480, 832, 80), "frames = 80 must be a multiple of 4 plus 1, for example 77"),
        (Size(488, 832, 81), "height: 61 latents do not divide into patches of 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size: Size, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        count_forward(architecture("wan21_1_3b"), size)


def test_unknown_models_are_refused_with_those_known(tmp_path) -> None:
    with pytest.raises(BadInputError, match=r"'flux': must be one of flux_dev, .*did you mean flux_"):
        architecture("flux")
    with pytest.raises(BadInputError, match=r"transformer/config.json: cannot be read"):
        architecture_of_folder(tmp_path, 16)
    unknown = replace(architecture("flux_dev"), transformer="UNet2DModel")
    with pytest.raises(BadInputError, match="cost of a UNet2DModel is not known; known classes: Flux"):
        count_forward(unknown, Size(64, 64))
    foreign = replace(architecture("flux_dev"), config={**architecture("flux_dev").config, "sparkle": 3})
    with pytest.raises(BadInputError, match=r"not a configuration of FluxTransformer2DModel.*sparkle"):
        count_forward(foreign, Size(64, 64))
    shallow = replace(architecture("flux_dev"), config={"num_layers": 2})
    with pytest.raises(BadInputError, match="lacks num_single_layers, num_attention_heads"):
        count_forward(shallow, Size(64, 64))
