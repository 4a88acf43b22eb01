"""Pictures of different prompts, noises and schedules, together where the model allows it. Size: M drawings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recache_ray.caching.cache_dit import CacheDit, Executor
from recache_ray.diffusion.adapter import Drawing, DrawnBatch, ModelAdapter, embedded_shapes
from recache_ray.diffusion.run_schedules import run_schedules
from recache_ray.errors import BadInputError


def draw(adapter: ModelAdapter, drawings: Sequence[Drawing], mechanism: Executor, max_batch: int) -> DrawnBatch:
    """Draw all, in as few pipeline calls as ``max_batch`` and the lengths of the prompts allow; in order.

    Drawings of one stream (prompt and noise) should follow each other: those that meet in a call share the forwards
    of their computed prefixes. cache-dit draws one at a time.

    Raises:
        BadInputError: if there are none, or one or the mechanism does not fit the model.
        UnusableGenerationError: if any result is.
    """
    if not drawings:
        raise BadInputError("draw: no drawings given; pass at least one")
    if isinstance(mechanism, CacheDit):
        parts = [(_alone(adapter, drawing, mechanism), [place]) for place, drawing in enumerate(drawings)]
    else:
        calls = [group[i : i + max_batch] for group in alike(drawings) for i in range(0, len(group), max_batch)]
        parts = [(adapter.run_drawings([drawings[i] for i in places], mechanism), places) for places in calls]
    order = np.argsort([place for _, places in parts for place in places])
    computed = [steps for part, _ in parts for steps in part.computed_steps]
    executed = [forwards for part, _ in parts for forwards in part.forwards_executed]
    return DrawnBatch(
        images=np.concatenate([part.images for part, _ in parts])[order],
        computed_steps=tuple(computed[row] for row in order),
        forwards_executed=tuple(executed[row] for row in order),
        seconds=sum(part.seconds for part, _ in parts),
    )


def alike(drawings: Sequence[Drawing]) -> list[list[int]]:
    """Places of the drawings that can be in one pipeline call: some pipelines do not pad prompts to one length."""
    by_shape: dict[object, list[int]] = {}
    for place, drawing in enumerate(drawings):
        by_shape.setdefault(embedded_shapes(drawing.embeddings), []).append(place)
    return list(by_shape.values())


def _alone(adapter: ModelAdapter, drawing: Drawing, mechanism: CacheDit) -> DrawnBatch:
    made = run_schedules(adapter, drawing.embeddings, drawing.noise_seed, [drawing.schedule], mechanism)
    return DrawnBatch(made.images, (drawing.schedule.budget,), (made.forwards_executed,), made.seconds)
