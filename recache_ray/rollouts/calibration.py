"""One uncached generation, watched: what baselines with a schedule known in advance are calibrated from."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from recache_ray.caching.recorder import ResidualRecorder
from recache_ray.caching.registry import build_mechanism
from recache_ray.caching.residual_errors import forecast_errors, magnitude_ratios, reuse_errors
from recache_ray.diffusion.adapter import ModelAdapter
from recache_ray.diffusion.generate import generate
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.types import CalibrationReport, CalibrationTask, RolloutFailure

MAX_STEPS = 128
"""Largest T that is calibrated: the errors of forecasts take T^3 / 6 of them, and 4 T^3 bytes."""


@torch.no_grad()
def calibrate(
    adapter: ModelAdapter, embeddings: Mapping[str, Tensor], task: CalibrationTask, worker: str = ""
) -> CalibrationReport | RolloutFailure:
    """Generate the request with every step computed and measure its residuals; a failure if one is not finite.

    Raises:
        BadInputError: if T is above :data:`MAX_STEPS`.
        NonFiniteGenerationError: if the picture is not finite.
        RunFailedError: if the pipeline does not call its transformer as its adapter says.
    """
    started = time.perf_counter()
    spec = adapter.spec
    if spec.num_steps > MAX_STEPS:
        raise BadInputError(
            f"model.num_steps = {spec.num_steps}: calibrated baselines need at most {MAX_STEPS} steps; "
            "leave them out of evaluation.baselines"
        )
    with ResidualRecorder(adapter.transformer, spec.forwards_per_step) as recorder:
        generation = generate(adapter, embeddings, task.request, [Schedule.full(spec.num_steps)], mechanism=None)
    residuals = recorder.residuals(spec.num_steps)
    ratios = magnitude_ratios(residuals)
    reuse = reuse_errors(residuals)
    forecast = forecast_errors(residuals, build_mechanism(task.mechanism))
    if not all(bool(figures.isfinite().all()) for figures in (ratios, reuse, forecast)):
        reason = f"residuals are not finite or vanish: prompt {task.request.prompt.text!r}; use model.dtype=float32"
        return RolloutFailure(task.task_id, reason=reason, retryable=False, worker=worker)
    return CalibrationReport(
        task_id=task.task_id,
        request=task.request,
        num_steps=spec.num_steps,
        magnitude_ratios=tuple(ratios.tolist()),
        reuse_errors=_bytes(reuse),
        forecast_errors=_bytes(forecast),
        forwards=generation.forwards_executed,
        seconds=time.perf_counter() - started,
        worker=worker,
    )


def _bytes(figures: Tensor) -> bytes:
    return figures.numpy().astype("<f4").tobytes()
