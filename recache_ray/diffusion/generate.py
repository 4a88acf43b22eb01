"""The one call behind references, baselines and rollouts: a prompt, a noise seed, schedules; pictures back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor

from recache_ray.caching.cache_dit import Executor
from recache_ray.caching.registry import build_executor
from recache_ray.diffusion.adapter import Generation, ModelAdapter, UnusableGenerationError
from recache_ray.diffusion.run_schedules import run_schedules
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec


def generate(
    adapter: ModelAdapter,
    embeddings: Mapping[str, Tensor],
    request: GenerationRequest,
    schedules: Sequence[Schedule],
    mechanism: MechanismSpec | Executor | None,
    max_batch: int = 32,
) -> Generation:
    """Generate ``request`` under each schedule; equal schedules run once.

    Schedules are batched in lexicographic order, so that those sharing a long prefix of computed steps meet in one
    pipeline call and compute that prefix once. A reference is ``[Schedule.full(T)]`` with any mechanism: a full
    schedule alone in its batch runs the untouched pipeline.

    Args:
        adapter: the model.
        embeddings: what ``adapter.encode(request.prompt.text)`` gives.
        request: prompt and noise seed.
        schedules: M schedules of the model's T.
        mechanism: what cached steps do; None only where every schedule is full.
        max_batch: most siblings in one pipeline call.

    Returns:
        Images in the order of ``schedules``.

    Raises:
        BadInputError: if there are no schedules, or one or the mechanism does not fit the model.
        UnusableGenerationError: naming prompt, seed and schedules.
    """
    if not schedules:
        raise BadInputError("generate: no schedules given; pass at least Schedule.full(num_steps)")
    if max_batch < 1:
        raise BadInputError(f"max_batch = {max_batch}: must be at least 1")
    rule = build_executor(mechanism) if isinstance(mechanism, MechanismSpec) else mechanism
    unique = sorted(set(schedules))
    try:
        parts = [
            run_schedules(adapter, embeddings, request.noise_seed, batch, rule) for batch in _batches(unique, max_batch)
        ]
    except UnusableGenerationError as error:
        raise type(error)(error.schedules, error.noise_seed, request.prompt.text) from error
    row_of = {schedule: row for row, schedule in enumerate(unique)}
    return Generation(
        images=np.concatenate([part.images for part in parts])[[row_of[schedule] for schedule in schedules]],
        forwards_requested=adapter.spec.evaluations_per_step * sum(schedule.budget for schedule in schedules),
        forwards_executed=sum(part.forwards_executed for part in parts),
        seconds=sum(part.seconds for part in parts),
    )


def _batches(schedules: Sequence[Schedule], max_batch: int) -> list[Sequence[Schedule]]:
    """Split into the fewest batches of at most ``max_batch``, of nearly equal size."""
    count = -(-len(schedules) // max_batch)
    bounds = [round(index * len(schedules) / count) for index in range(count + 1)]
    return [schedules[low:high] for low, high in pairwise(bounds)]
