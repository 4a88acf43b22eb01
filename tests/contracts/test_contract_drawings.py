"""Different prompts, noises and schedules in one batch: each picture is the one it would be alone."""

from __future__ import annotations

import numpy as np
import pytest
from contract_runs import Model, T, random_schedules

from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.adapter import Drawing, embedded_shapes
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

TAYLOR = TaylorSeer(1)
PROMPTS = ("a large red circle on the left", "two small blue stars")


def test_a_mixed_batch_draws_each_as_alone_and_counts_its_steps(model: Model) -> None:
    embeddings = [model.adapter.encode(prompt) for prompt in PROMPTS]
    if embedded_shapes(embeddings[0]) != embedded_shapes(embeddings[1]):
        drawings = [Drawing(each, 3, Schedule(T, (0,))) for each in embeddings]
        with pytest.raises(BadInputError, match="embedded in different lengths"):
            model.adapter.run_drawings(drawings, TAYLOR)
        embeddings[1] = embeddings[0]
    plans = [*random_schedules(3, seed=12), Schedule.full(T), Schedule(T, (0,))]
    # the third shares a stream with the first, the fourth only its schedule's first steps
    drawings = [
        Drawing(embeddings[place % 2], seed, plan)
        for place, (plan, seed) in enumerate(zip(plans, (3, 4, 3, 5, 3), strict=True))
    ]
    made = model.adapter.run_drawings(drawings, TAYLOR)
    assert made.computed_steps == tuple(plan.budget for plan in plans)
    for drawing, image in zip(drawings, made.images, strict=True):
        alone = model.adapter.run(drawing.embeddings, drawing.noise_seed, [drawing.schedule], TAYLOR).images[0]
        # rounding of float32 products depends on the batch size, and may tip a value to the next of 255
        assert np.abs(image.astype(int) - alone.astype(int)).max() <= 2
    assert not np.array_equal(made.images[0], made.images[1])
