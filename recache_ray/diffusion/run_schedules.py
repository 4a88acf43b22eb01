"""Schedules of one prompt and noise, by this project's hooks or inside cache-dit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from recache_ray.caching.cache_dit import CacheDit, CacheDitRun, Executor
from recache_ray.diffusion.adapter import Generation, ModelAdapter, UnusableGenerationError
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


def run_schedules(
    adapter: ModelAdapter,
    embeddings: Mapping[str, Tensor],
    noise_seed: int,
    schedules: Sequence[Schedule],
    mechanism: Executor | None,
) -> Generation:
    """Generate every schedule; in one pipeline call, or in one for each where cache-dit runs them.

    Raises:
        BadInputError: as ``adapter.run``, or if cache-dit is asked for and not installed.
        NonFiniteGenerationError: if any result is NaN or infinite.
    """
    if not isinstance(mechanism, CacheDit):
        return adapter.run(embeddings, noise_seed, schedules, mechanism)
    runs = [_run_alone(adapter, embeddings, noise_seed, schedule, mechanism) for schedule in schedules]
    forwards = adapter.spec.forwards_per_step * sum(schedule.budget for schedule in schedules)
    images = np.concatenate([run.images for run in runs])
    return Generation(images, forwards, forwards, sum(run.seconds for run in runs))


def _run_alone(
    adapter: ModelAdapter,
    embeddings: Mapping[str, Tensor],
    noise_seed: int,
    schedule: Schedule,
    mechanism: CacheDit,
) -> Generation:
    num_steps, forwards_per_step = adapter.spec.num_steps, adapter.spec.forwards_per_step
    if schedule.num_steps != num_steps:
        raise BadInputError(
            f"schedule of num_steps = {schedule.num_steps}: the model runs model.num_steps = {num_steps}; "
            "make them equal"
        )
    try:
        with CacheDitRun(adapter.transformer, schedule, mechanism, forwards_per_step):
            # the pipeline as it is; the transformer is cache-dit's
            return adapter.run(embeddings, noise_seed, [Schedule.full(num_steps)], None)
    except UnusableGenerationError as error:
        raise type(error)([schedule], noise_seed, error.prompt) from error
