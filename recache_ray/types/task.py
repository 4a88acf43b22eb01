"""What a pool of workers is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.types.batch import BatchReport, BatchTask
from recache_ray.types.calibration import CalibrationReport, CalibrationTask, SignalReport, SignalTask
from recache_ray.types.probe import ModelReport, ProbeTask
from recache_ray.types.reference import ReferenceReport, ReferenceTask
from recache_ray.types.rollout import RolloutGroup, RolloutTask


@dataclass(frozen=True, slots=True)
class RolloutFailure:
    """A task that gave no result, with the reason as data.

    ``retryable`` says whether running the same task again could succeed (a lost worker) or not (NaN in a generation).
    """

    task_id: int
    reason: str
    retryable: bool = False
    worker: str = ""


Task = RolloutTask | BatchTask | ReferenceTask | ProbeTask | CalibrationTask | SignalTask
TaskResult = (
    RolloutGroup | BatchReport | ReferenceReport | ModelReport | CalibrationReport | SignalReport | RolloutFailure
)
