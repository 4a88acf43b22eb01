"""DPCache's calibration of exhaustive tables: one uncached generation of every prompt, kept beside its costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recache_ray.evaluation.calibration.residuals import calibrate_residuals
from recache_ray.evaluation.calibration.store import load_calibration, save_calibration
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GenerationRequest, MechanismSpec


def forecast_errors(
    pool: RolloutPool, folder: Path, name: str, mechanism: MechanismSpec, request: GenerationRequest
) -> NDArray[np.float64]:
    """DPCache's errors [T, T, T] on one prompt: those stored under ``name``, or measured and put there.

    Args:
        pool: an idle pool; the reference of ``request`` must be stored.
        folder: of the tables of one model, T and mechanism, which its name stands for.
        name: of the prompt.
        mechanism: what forecasts the cached steps.
        request: prompt and noise.

    Raises:
        BadInputError: if the stored file is damaged.
        RunFailedError: if the generation fails or the folder cannot be written.
    """
    key = {"table": folder.name}
    if (stored := load_calibration(folder / "calibration", name, key)) is not None:
        return stored[0]["forecast_errors"]
    found, cost = calibrate_residuals(pool, [request], mechanism)
    save_calibration(folder / "calibration", name, key, {"forecast_errors": found.forecast_errors}, cost)
    return found.forecast_errors
