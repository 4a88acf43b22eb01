"""The records that cross a stage or a process: floats, tuples and bytes only, standard library only."""

from recache_ray.types.batch import BatchReport, BatchTask
from recache_ray.types.calibration import CalibrationReport, CalibrationTask, SignalReport, SignalTask
from recache_ray.types.mechanism import GateSpec, MechanismSpec
from recache_ray.types.policy import PolicySnapshot, UpdateStats
from recache_ray.types.probe import ModelReport, ProbeTask
from recache_ray.types.reference import ReferenceReport, ReferenceTask
from recache_ray.types.request import GenerationRequest, Prompt, Split
from recache_ray.types.rollout import RewardBreakdown, Rollout, RolloutGroup, RolloutTask
from recache_ray.types.task import RolloutFailure, Task, TaskResult

__all__ = [
    "BatchReport",
    "BatchTask",
    "CalibrationReport",
    "CalibrationTask",
    "GateSpec",
    "GenerationRequest",
    "MechanismSpec",
    "ModelReport",
    "PolicySnapshot",
    "ProbeTask",
    "Prompt",
    "ReferenceReport",
    "ReferenceTask",
    "RewardBreakdown",
    "Rollout",
    "RolloutFailure",
    "RolloutGroup",
    "RolloutTask",
    "SignalReport",
    "SignalTask",
    "Split",
    "Task",
    "TaskResult",
    "UpdateStats",
]
