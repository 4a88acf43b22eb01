"""Every measured generation behind the frontier, kept so that methods can be compared prompt by prompt later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.measure import Measurements, Methods
from recache_ray.types import MechanismSpec


@dataclass(frozen=True, slots=True)
class Sample:
    """One generation of one method; field order is the column order of ``samples.parquet``.

    Attributes:
        schedule: how the schedule was chosen: ``policy`` or the name of a baseline, as in the frontier.
        mechanism: id of the caching mechanism, for example ``taylor1``.
        num_steps: T.
        budget: k asked for.
        prompt_index: the prompt's position in its split; the unit that paired statistics resample.
        noise_seed: seed of the starting noise.
        compute_steps: the steps that were computed, ascending.
        lpips: distance to the uncached reference; lower is better.
        psnr: in dB; infinite for identical pictures.
        ssim: 1 is identical.
        quality: of the quality model; None without one.
        reward: the reward.
    """

    schedule: str
    mechanism: str
    num_steps: int
    budget: int
    prompt_index: int
    noise_seed: int
    compute_steps: tuple[int, ...]
    lpips: float
    psnr: float | None
    ssim: float | None
    quality: float | None
    reward: float


SAMPLE_COLUMNS: tuple[str, ...] = tuple(item.name for item in fields(Sample))
_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "float | None": pa.float64(),
    "tuple[int, ...]": pa.list_(pa.int64()),
}
_SCHEMA = pa.schema([pa.field(item.name, _TYPES[str(item.type)], "None" in str(item.type)) for item in fields(Sample)])


def samples_of(measurements: Measurements, methods: Methods, mechanism: MechanismSpec) -> tuple[Sample, ...]:
    """One record per method, budget, prompt and schedule; methods and prompts in the order given."""
    return tuple(
        Sample(
            schedule=name,
            mechanism=mechanism.id,
            num_steps=schedule.num_steps,
            budget=budget,
            prompt_index=request.prompt.index,
            noise_seed=request.noise_seed,
            compute_steps=schedule.compute_steps,
            lpips=breakdown.metrics["lpips"],
            psnr=breakdown.metrics.get("psnr"),
            ssim=breakdown.metrics.get("ssim"),
            quality=breakdown.metrics.get("quality"),
            reward=breakdown.reward,
        )
        for name, by_budget in methods.items()
        for budget in sorted(by_budget)
        for request in measurements.requests
        for schedule in by_budget[budget]
        for breakdown in (measurements.breakdowns[request, schedule],)
    )


def write_samples(samples: Iterable[Sample], path: Path) -> Path:
    """Write ``samples.parquet`` atomically.

    Raises:
        RunFailedError: if the folder cannot be written.
    """
    rows = list(samples)
    columns = [
        pa.array([getattr(row, item.name) for row in rows], _SCHEMA.field(item.name).type) for item in fields(Sample)
    ]
    table = pa.Table.from_arrays(columns, schema=_SCHEMA)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, lambda partial: pq.write_table(table, partial))
    except OSError as error:
        raise RunFailedError(
            f"{path}: cannot write the samples ({error.strerror or error}); make room, run again"
        ) from error
    return path


def read_samples(path: Path) -> tuple[Sample, ...]:
    """Read a ``samples.parquet`` back.

    Raises:
        BadInputError: if the file is missing, unreadable or has other columns.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"{path}: cannot read the samples ({reason}); run recache evaluate") from error
    if tuple(table.column_names) != SAMPLE_COLUMNS:
        raise BadInputError(f"{path}: its columns are not those of the samples; run recache evaluate again")
    return tuple(Sample(**{**row, "compute_steps": tuple(row["compute_steps"])}) for row in table.to_pylist())
