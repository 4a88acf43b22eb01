"""The phase before learning: make every uncached reference that is not stored yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recache_ray.build.model_check import check_model
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.requests import evaluation_requests, prompt_set, requests_of
from recache_ray.config.root import Config
from recache_ray.errors import RunFailedError
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GenerationRequest, ReferenceReport, ReferenceTask, RolloutFailure

# Task ids only have to differ among the tasks in flight together, and no phase starts before the last one ended.
_FIRST_TASK_ID = 0


def fill_references(
    pool: RolloutPool,
    requests: Sequence[GenerationRequest],
    requests_per_task: int,
    on_progress: OnProgress,
) -> int:
    """Have the pool make and store the missing references of ``requests``; returns how many were missing.

    Workers skip what is stored, so this is resumable at any moment and cheap to repeat. ``on_progress`` is called at
    least every second and may raise to end it; the pool then still holds tasks and is only good for closing.

    Raises:
        RunFailedError: if a reference cannot be made.
    """
    tasks = [
        ReferenceTask(_FIRST_TASK_ID + number, tuple(requests[start : start + requests_per_task]))
        for number, start in enumerate(range(0, len(requests), requests_per_task))
    ]
    clock = PhaseClock("references", len(requests))
    sizes = {task.task_id: len(task.requests) for task in tasks}
    waiting = iter(tasks)
    done = written = 0
    while done < len(requests):
        while pool.in_flight < 2 * pool.capacity and (task := next(waiting, None)) is not None:
            pool.submit(task)
        for result in pool.collect(timeout_s=1.0):
            if isinstance(result, RolloutFailure):
                raise RunFailedError(f"references: {result.reason}")
            if isinstance(result, ReferenceReport):
                done += sizes[result.task_id]
                written += result.written
        on_progress(clock.at(done))
    return written


def fill(config: Config, on_progress: OnProgress) -> str:
    """The verb ``references``: fill the store for all splits and say what was done."""
    from recache_ray.build.pool import open_pool

    check_model(config)
    prompts = prompt_set(config)
    every = (*prompts.train, *prompts.validation, *prompts.test)
    requests = tuple(dict.fromkeys((*requests_of(every), *evaluation_requests(config))))
    with open_pool(config, on_progress) as pool:
        written = fill_references(pool, requests, config.references.requests_per_task, on_progress)
    stored = len(requests) - written
    return f"references: {written} made, {stored} were stored already, in {Path(config.references.dir)}"
