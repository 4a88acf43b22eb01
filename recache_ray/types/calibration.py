"""Measurements over one uncached generation, for baselines that are calibrated. Size: T denoising steps."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.types.mechanism import MechanismSpec
from recache_ray.types.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class CalibrationTask:
    """Measure the block stack's residuals over one uncached generation, for baselines that are calibrated."""

    task_id: int
    request: GenerationRequest
    mechanism: MechanismSpec


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A finished :class:`CalibrationTask`, see :mod:`recache_ray.caching.residual_errors`.

    Attributes:
        magnitude_ratios: [T].
        reuse_errors: [T, T] as little-endian float32, row by row.
        forecast_errors: [T, T, T] of the task's mechanism, likewise.
        forwards: transformer forwards the generation took.
        seconds: time in the worker.
    """

    task_id: int
    request: GenerationRequest
    num_steps: int
    magnitude_ratios: tuple[float, ...]
    reuse_errors: bytes
    forecast_errors: bytes
    forwards: int
    seconds: float
    worker: str = ""


@dataclass(frozen=True, slots=True)
class SignalTask:
    """Record what TeaCache's polynomial is fitted to, over one uncached generation of a stored reference's request."""

    task_id: int
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class SignalReport:
    """A finished :class:`SignalTask`, of a model of T steps.

    Attributes:
        input_changes: [T - 2] relative L1 change of the timestep-modulated input from step to step, from step 1 on.
        output_changes: [T - 2] the same of the transformer's output, at the same steps.
        forwards: transformer forwards the generation took.
        seconds: time in the worker.
    """

    task_id: int
    input_changes: tuple[float, ...]
    output_changes: tuple[float, ...]
    forwards: int
    seconds: float
    worker: str = ""
