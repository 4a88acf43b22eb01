"""Pictures of different prompts, noises and schedules together are those drawn alone, whatever caches them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from recache_ray.caching.registry import build_executor, parse_mechanism
from recache_ray.diffusion.adapter import Drawing
from recache_ray.diffusion.draw import alike, draw
from recache_ray.diffusion.generate import generate
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.types import GenerationRequest, Prompt

T = 8
PROMPTS = ("a large red circle on the left", "two small blue stars", "a green square")


@pytest.fixture(scope="module")
def adapter() -> PipelineAdapter:
    return tiny_adapter(T)


def drawings(adapter: PipelineAdapter) -> list[Drawing]:
    """Two or three schedules of each prompt, some with common beginnings, one of them full."""
    draws = random.Random(5)
    made = []
    for seed, prompt in enumerate(PROMPTS):
        embeddings = adapter.encode(prompt)
        steps = [0, *sorted(draws.sample(range(1, T), 3))]
        masks = {Schedule.from_steps(T, steps), Schedule.from_steps(T, [*steps[:2], T - 1]), Schedule(T, (0,))}
        masks |= {Schedule.full(T)} if seed == 1 else set()
        made += [Drawing(embeddings, seed, schedule) for schedule in sorted(masks)]
    return made


@pytest.mark.parametrize(
    "name", ["reuse", "taylor1", "newton2", "hermite2", "foca", "freqca2", "delta", "dcta", "taylor2_modules"]
)
@pytest.mark.parametrize("max_batch", [4, 32])
def test_each_picture_is_the_one_it_is_alone(adapter: PipelineAdapter, name: str, max_batch: int) -> None:
    mechanism = build_executor(parse_mechanism(name))
    asked = drawings(adapter)
    made = draw(adapter, asked, mechanism, max_batch)
    assert made.computed_steps == tuple(each.schedule.budget for each in asked)
    for place, drawing in enumerate(asked):
        request = GenerationRequest(Prompt(0, "known by its embeddings"), drawing.noise_seed)
        alone = generate(adapter, drawing.embeddings, request, [drawing.schedule], mechanism)
        # rounding of float32 products depends on the batch size, and may tip a value to the next of 255
        assert np.abs(made.images[place].astype(int) - alone.images[0].astype(int)).max() <= 2
    assert len({image.tobytes() for image in made.images}) > len(PROMPTS)


def test_forwards_that_a_stream_shares_count_once(adapter: PipelineAdapter) -> None:
    asked = drawings(adapter)
    made = draw(adapter, asked, build_executor(parse_mechanism("taylor1")), 32)
    for seed in range(len(PROMPTS)):
        rows = [row for row, each in enumerate(asked) if each.noise_seed == seed]
        prefixes = {s.prefix(step) for s in (asked[row].schedule for row in rows) for step in s.compute_steps}
        assert sum(made.forwards_executed[row] for row in rows) == len(prefixes)
    assert sum(made.forwards_executed) < sum(made.computed_steps)


def test_prompts_embedded_in_other_lengths_take_another_call(adapter: PipelineAdapter) -> None:
    first, second, *_ = drawings(adapter)
    cut = {
        name: tensor[: len(tensor) // 2] if tensor.ndim == 2 else tensor for name, tensor in first.embeddings.items()
    }
    shorter = replace(first, embeddings=cut)
    assert alike([first, shorter, second]) == [[0, 2], [1]]
    together = draw(adapter, [first, shorter, second], build_executor(parse_mechanism("reuse")), 8)
    apart = draw(adapter, [first, second], build_executor(parse_mechanism("reuse")), 8)
    assert np.array_equal(together.images[[0, 2]], apart.images)
    assert together.computed_steps == tuple(each.schedule.budget for each in (first, shorter, second))


def test_nothing_to_draw_is_refused(adapter: PipelineAdapter) -> None:
    with pytest.raises(BadInputError, match="no drawings given"):
        draw(adapter, [], build_executor(parse_mechanism("reuse")), 8)
