"""The quality-budget frontier: one row per way of choosing schedules, mechanism and budget."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.bootstrap import mean_interval
from recache_ray.evaluation.measure import Measurements, Methods
from recache_ray.schedules import Schedule
from recache_ray.types import MechanismSpec, RewardBreakdown

PSNR_CAP_DB = 100.0
"""PSNR of identical images, by the convention of TeaCache and PAB; the true value is infinite."""

LPIPS_FLOOR = 1e-6
"""Below this two pictures are the same up to the rounding of the metric."""


@dataclass(frozen=True, slots=True)
class FrontierRow:
    """One point of the frontier; field order is the column order of ``frontier.parquet`` and ``.csv``.

    Attributes:
        schedule: how the schedules were chosen: ``policy`` or the name of a baseline.
        mechanism: id of the caching mechanism, for example ``taylor1``.
        num_steps: T.
        budget: k asked for.
        computed_steps_mean: mean over the generations behind the row; k for fixed schedules.
        computed_steps_std: standard deviation of the same.
        flops_ratio: FLOPs of all steps computed over FLOPs of this schedule, probes included; higher is cheaper.
        seconds: denoising time of one generation, from the measured seconds of a computed and of a cached step.
        lpips: mean distance to the uncached reference; lower is better.
        psnr: mean in dB, at most 100.
        ssim: mean; 1 is identical.
        quality: mean of the quality model; None without one.
        reward: mean reward.
        num_samples: generations behind the means.
        lpips_ci_low: lower end of the 95% interval of ``lpips``, bootstrapped over prompts.
        lpips_ci_high: upper end.
    """

    schedule: str
    mechanism: str
    num_steps: int
    budget: int
    computed_steps_mean: float
    computed_steps_std: float
    flops_ratio: float
    seconds: float
    lpips: float
    psnr: float | None
    ssim: float | None
    quality: float | None
    reward: float
    num_samples: int
    lpips_ci_low: float
    lpips_ci_high: float


FRONTIER_COLUMNS: tuple[str, ...] = tuple(item.name for item in fields(FrontierRow))
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
_SCHEMA = pa.schema(
    [pa.field(item.name, _TYPES[str(item.type)], "None" in str(item.type)) for item in fields(FrontierRow)]
)


@dataclass(frozen=True, slots=True)
class Generated:
    """One generation behind a row.

    Attributes:
        prompt: text.
        schedule: the computed steps.
        breakdown: reward and metrics.
        partial_forwards: what an adaptive method spent on top of the schedule, in computed steps' FLOPs.
    """

    prompt: str
    schedule: Schedule
    breakdown: RewardBreakdown
    partial_forwards: float = 0.0

    def flops_ratio(self, cost: ScheduleCost) -> float:
        """FLOPs of all steps computed over the FLOPs of this generation."""
        ratio = cost.flops_ratio(self.schedule)
        return ratio / (1 + ratio * self.partial_forwards / self.schedule.num_steps)

    def seconds(self, cost: ScheduleCost) -> float:
        """Denoising seconds of this generation, those of partial forwards in proportion to their FLOPs."""
        num_steps = self.schedule.num_steps
        return cost.seconds(self.schedule) + self.partial_forwards / num_steps * cost.seconds(Schedule.full(num_steps))


class ScheduleCost(Protocol):
    """What a generation costs on this machine; ``diffusion.cost.StepCost`` is one."""

    def flops_ratio(self, schedule: Schedule) -> float:
        """FLOPs of all steps computed over FLOPs of ``schedule``."""
        ...

    def seconds(self, schedule: Schedule) -> float:
        """Seconds of the denoising steps."""
        ...


def frontier_rows(
    measurements: Measurements,
    methods: Methods,
    mechanism: MechanismSpec,
    cost: ScheduleCost,
    *,
    bootstrap_samples: int,
    seed: int,
) -> tuple[FrontierRow, ...]:
    """Average the measurements per method and budget, methods in the order given, budgets ascending."""
    return tuple(
        frontier_row(
            name,
            budget,
            [
                Generated(request.prompt.text, schedule, measurements.breakdowns[request, schedule])
                for request in measurements.requests
                for schedule in by_budget[budget]
            ],
            mechanism,
            cost,
            bootstrap_samples=bootstrap_samples,
            seed=seed,
        )
        for name, by_budget in methods.items()
        for budget in sorted(by_budget)
    )


def frontier_row(
    name: str,
    budget: int,
    samples: Sequence[Generated],
    mechanism: MechanismSpec,
    cost: ScheduleCost,
    *,
    bootstrap_samples: int,
    seed: int,
) -> FrontierRow:
    """Average the generations of one method and budget."""
    lpips = [sample.breakdown.metrics["lpips"] for sample in samples]
    low, high = mean_interval(lpips, [sample.prompt for sample in samples], samples=bootstrap_samples, seed=seed)
    computed = np.array([sample.schedule.budget for sample in samples], dtype=np.float64)

    def mean(metric: str) -> float | None:
        values = [sample.breakdown.metrics.get(metric) for sample in samples]
        present = [min(value, PSNR_CAP_DB) if metric == "psnr" else value for value in values if value is not None]
        return float(np.mean(present)) if len(present) == len(values) else None

    return FrontierRow(
        schedule=name,
        mechanism=mechanism.id,
        num_steps=samples[0].schedule.num_steps,
        budget=budget,
        computed_steps_mean=float(computed.mean()),
        computed_steps_std=float(computed.std()),
        flops_ratio=float(np.mean([sample.flops_ratio(cost) for sample in samples])),
        seconds=float(np.mean([sample.seconds(cost) for sample in samples])),
        lpips=float(np.mean(lpips)),
        psnr=mean("psnr"),
        ssim=mean("ssim"),
        quality=mean("quality"),
        reward=float(np.mean([sample.breakdown.reward for sample in samples])),
        num_samples=len(samples),
        lpips_ci_low=low,
        lpips_ci_high=high,
    )


def write_frontier(rows: Iterable[FrontierRow], folder: Path) -> tuple[Path, Path]:
    """Write ``frontier.parquet`` and ``frontier.csv`` (None is an empty cell) into ``folder``, each atomically.

    Raises:
        RunFailedError: if the folder cannot be written.
    """
    values = [astuple(row) for row in rows]
    columns = [list(column) for column in zip(*values, strict=True)] or [[] for _ in FRONTIER_COLUMNS]
    table = pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)
    parquet, text = folder / "frontier.parquet", folder / "frontier.csv"

    def write_csv(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerows([FRONTIER_COLUMNS, *values])

    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_atomically(parquet, lambda path: pq.write_table(table, path))
        replace_atomically(text, write_csv)
    except OSError as error:
        raise RunFailedError(
            f"{folder}: cannot write the frontier ({error.strerror or error}); make room, run again"
        ) from error
    return parquet, text


def read_frontier(path: Path) -> tuple[FrontierRow, ...]:
    """Read a ``frontier.parquet`` back.

    Raises:
        BadInputError: if the file is missing, unreadable or has other columns.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BadInputError(f"{path}: cannot read a frontier ({error}); run recache evaluate") from error
    if tuple(table.column_names) != FRONTIER_COLUMNS:
        raise BadInputError(f"{path}: its columns are not those of a frontier; run recache evaluate again")
    return tuple(FrontierRow(**row) for row in table.to_pylist())
