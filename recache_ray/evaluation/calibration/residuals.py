"""Residual statistics through a pool: one uncached generation per request."""

from __future__ import annotations

from collections.abc import Sequence

from recache_ray.baselines.residual_statistics import ResidualStatistics
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.measure import OnProgress, run_tasks
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import CalibrationReport, CalibrationTask, GenerationRequest, MechanismSpec, RolloutFailure


def calibrate_residuals(
    pool: RolloutPool,
    requests: Sequence[GenerationRequest],
    mechanism: MechanismSpec,
    *,
    on_progress: OnProgress | None = None,
) -> tuple[ResidualStatistics, Work]:
    """Measure on every request and average; the same arguments give the same figures, whichever pool runs them.

    Raises:
        RunFailedError: if a request gives no result.
    """
    tasks = [CalibrationTask(number, request, mechanism) for number, request in enumerate(requests)]
    reports = []
    for result in run_tasks(pool, tasks, "calibrate residuals", on_progress):
        if isinstance(result, RolloutFailure):
            raise RunFailedError(f"calibration: task {result.task_id} failed: {result.reason}")
        assert isinstance(result, CalibrationReport)
        reports.append(result)
    forwards = sum(report.forwards for report in reports)
    cost = Work(len(reports), forwards, forwards, sum(report.seconds for report in reports))
    return ResidualStatistics.mean(reports), cost
