"""Rollouts of several requests drawn together, each scored against the reference of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence

from recache_ray.caching.registry import build_executor
from recache_ray.diffusion.adapter import Drawing, ModelAdapter
from recache_ray.diffusion.draw import draw
from recache_ray.errors import BadInputError
from recache_ray.references.reference import Reference
from recache_ray.rewards.scorer import Scorer
from recache_ray.types import BatchReport, BatchTask, Rollout, RolloutGroup, RolloutTask


def run_batch(
    adapter: ModelAdapter,
    scorer: Scorer,
    task: BatchTask,
    references: Sequence[Reference],
    max_batch: int,
    worker: str = "",
) -> BatchReport:
    """One group per part, in order.

    Args:
        adapter: the model.
        scorer: the reward.
        task: its parts; equal schedules of a part run once.
        references: one per part.
        max_batch: most pictures in one pipeline call.
        worker: recorded with every group.

    Raises:
        BadInputError: if the parts have no schedules, or not one mechanism, or a schedule does not fit the model.
        UnusableGenerationError: if a picture is NaN or infinite.
        RunFailedError: if a metric is not finite.
    """
    mechanisms = {part.mechanism for part in task.parts}
    if len(mechanisms) != 1 or not all(part.schedules for part in task.parts):
        raise BadInputError(f"task {task.task_id}: its parts must have schedules and one mechanism in common")
    started = time.perf_counter()
    unique = [tuple(sorted(set(part.schedules))) for part in task.parts]
    drawings = [
        Drawing(reference.embeddings, part.request.noise_seed, schedule)
        for part, reference, schedules in zip(task.parts, references, unique, strict=True)
        for schedule in schedules
    ]
    drawn = draw(adapter, drawings, build_executor(mechanisms.pop()), max_batch)
    found, first = [], 0
    for part, reference, schedules in zip(task.parts, references, unique, strict=True):
        rows = slice(first, first + len(schedules))
        breakdowns = scorer.score(drawn.images[rows], reference.image, part.request.prompt.text)
        found.append((dict(zip(schedules, breakdowns, strict=True)), sum(drawn.forwards_executed[rows])))
        first += len(schedules)
    seconds = (time.perf_counter() - started) / len(drawings)
    return BatchReport(
        task.task_id,
        tuple(
            RolloutGroup(
                task_id=task.task_id,
                request=part.request,
                policy_version=part.policy_version,
                rollouts=tuple(Rollout(schedule, 0.0, measured[schedule]) for schedule in part.schedules),
                forwards_requested=_requested(adapter, part),
                forwards_executed=executed,
                seconds=seconds * len(measured),
                worker=worker,
            )
            for part, (measured, executed) in zip(task.parts, found, strict=True)
        ),
        worker,
    )


def _requested(adapter: ModelAdapter, part: RolloutTask) -> int:
    return adapter.spec.evaluations_per_step * sum(schedule.budget for schedule in part.schedules)
