"""LeMiCa's edge weights through a pool: one generation per request and edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recache_ray.baselines.lemica import edge_schedules
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.measure import SCHEDULES_PER_TASK, OnProgress, run_tasks
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GenerationRequest, MechanismSpec, RolloutFailure, RolloutGroup, RolloutTask


def calibrate_edges(
    pool: RolloutPool,
    requests: Sequence[GenerationRequest],
    mechanism: MechanismSpec,
    num_steps: int,
    max_gap: int,
    *,
    on_progress: OnProgress | None = None,
) -> tuple[NDArray[np.float64], Work]:
    """Weights [T, T + 1] of the edges i -> j, the mean over requests; infinity for edges longer than ``max_gap``.

    A weight is the root mean square pixel error, of pictures in 0..1, of the generation that caches steps i+1 .. j-1
    and no others, taken from its PSNR to the stored reference. The paper takes the mean absolute error of the final
    latent instead, which does not leave a worker; both measure how far the generation ends from the uncached one.

    Raises:
        RunFailedError: if a task gives no result.
    """
    edges = edge_schedules(num_steps, max_gap)
    edge_of = {schedule: edge for edge, schedule in edges.items()}
    ordered = sorted(edge_of)
    chunks = [tuple(ordered[at : at + SCHEDULES_PER_TASK]) for at in range(0, len(ordered), SCHEDULES_PER_TASK)]
    pairs = [(request, chunk) for request in requests for chunk in chunks]
    tasks = [
        RolloutTask(number, request, mechanism, schedules=chunk, all_metrics=True)
        for number, (request, chunk) in enumerate(pairs)
    ]
    weights = np.full((num_steps, num_steps + 1), np.inf)
    weights[np.arange(num_steps), np.arange(1, num_steps + 1)] = 0.0
    for i, j in edges:
        weights[i, j] = 0.0
    groups = []
    for result in run_tasks(pool, tasks, "calibrate edges", on_progress):
        if isinstance(result, RolloutFailure):
            raise RunFailedError(f"calibration: task {result.task_id} failed: {result.reason}")
        assert isinstance(result, RolloutGroup)
        groups.append(result)
        for rollout in result.rollouts:
            error = 10 ** (-rollout.breakdown.metrics["psnr"] / 20)
            weights[edge_of[rollout.schedule]] += error / len(requests)
    return weights, Work(
        generations=len(requests) * len(edges),
        forwards_requested=sum(group.forwards_requested for group in groups),
        forwards_executed=sum(group.forwards_executed for group in groups),
        seconds=sum(group.seconds for group in groups),
    )
