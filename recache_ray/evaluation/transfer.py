"""Schedules carried over from another number of steps, measured beside those trained there and uniform ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recache_ray.evaluation.frontier import FrontierRow, ScheduleCost, frontier_rows
from recache_ray.evaluation.measure import Measurements, Methods
from recache_ray.evaluation.paired import PromptMeans, RatioInterval, paired_geometric_mean, paired_ratio, prompt_means
from recache_ray.evaluation.record_file import RecordFile
from recache_ray.evaluation.samples import samples_of
from recache_ray.types import MechanismSpec

CARRIED, TRAINED = "carried", "trained"


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One method at one T' and budget; field order is the column order of ``transfer.parquet`` and ``.csv``.

    Attributes:
        from_num_steps: T, where the carried schedules were trained.
        num_steps: T', where all are measured.
        budget: k.
        schedule: ``carried``, ``trained`` (at T') or the name of a uniform variant.
        mechanism: id of the caching mechanism.
        compute_steps: the computed steps, of T'.
        flops_ratio: FLOPs of all steps computed over FLOPs of this schedule.
        lpips: mean distance to the uncached reference of T'.
        lpips_ci_low: lower end of its 95% interval over prompts.
        lpips_ci_high: upper end.
        num_samples: generations behind the mean.
        ratio: mean LPIPS of the carried schedule over that of this row; below 1 the carried one is better.
        ratio_ci_low: lower end of the ratio's 95% interval, bootstrapped over the prompts both saw.
        ratio_ci_high: upper end.
    """

    from_num_steps: int
    num_steps: int
    budget: int
    schedule: str
    mechanism: str
    compute_steps: tuple[int, ...]
    flops_ratio: float
    lpips: float
    lpips_ci_low: float
    lpips_ci_high: float
    num_samples: int
    ratio: float
    ratio_ci_low: float
    ratio_ci_high: float


TRANSFER = RecordFile(TransferRow, "transfer figures")
"""Reads and writes ``transfer.parquet``."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was found at one T'.

    Attributes:
        rows: per method and budget.
        best_uniform: budget to the row of the uniform variant with the lowest LPIPS on these very prompts.
        to_trained: carried over trained there, geometric mean over the budgets both have; None without such a run.
        to_uniform: carried over ``best_uniform``, geometric mean over budgets.
    """

    rows: tuple[TransferRow, ...]
    best_uniform: Mapping[int, TransferRow]
    to_trained: RatioInterval | None
    to_uniform: RatioInterval

    def row(self, schedule: str, budget: int) -> TransferRow | None:
        """The row of a method and budget, if it was measured."""
        return next((row for row in self.rows if (row.schedule, row.budget) == (schedule, budget)), None)


def compare_transfer(
    measured: Measurements,
    methods: Methods,
    mechanism: MechanismSpec,
    cost: ScheduleCost,
    *,
    from_num_steps: int,
    bootstrap_samples: int,
    seed: int,
) -> Transfer:
    """Compare the method ``carried`` with every other, prompt by prompt.

    Args:
        measured: every schedule of ``methods`` on the same requests.
        methods: name to budget to one schedule; ``carried``, uniform variants and perhaps ``trained``.
        mechanism: what cached steps do.
        cost: what steps cost.
        from_num_steps: T of the carried schedules.
        bootstrap_samples: resamplings behind every interval.
        seed: of the resampling.

    Raises:
        BadInputError: if there are fewer than two prompts.
    """
    grouped: dict[tuple[str, int], PromptMeans] = {}
    for name, by_budget in methods.items():
        for budget in by_budget:
            part = {name: {budget: by_budget[budget]}}
            grouped[name, budget] = prompt_means(samples_of(measured, part, mechanism))

    def row_of(row: FrontierRow) -> TransferRow:
        carried, other = grouped[CARRIED, row.budget], grouped[row.schedule, row.budget]
        ratio = paired_ratio(carried, other, samples=bootstrap_samples, seed=seed)
        (schedule,) = methods[row.schedule][row.budget]
        return TransferRow(
            from_num_steps=from_num_steps,
            num_steps=row.num_steps,
            budget=row.budget,
            schedule=row.schedule,
            mechanism=row.mechanism,
            compute_steps=schedule.compute_steps,
            flops_ratio=row.flops_ratio,
            lpips=row.lpips,
            lpips_ci_low=row.lpips_ci_low,
            lpips_ci_high=row.lpips_ci_high,
            num_samples=row.num_samples,
            ratio=ratio.ratio,
            ratio_ci_low=ratio.low,
            ratio_ci_high=ratio.high,
        )

    frontier = frontier_rows(measured, methods, mechanism, cost, bootstrap_samples=bootstrap_samples, seed=seed)
    rows = tuple(row_of(row) for row in frontier if row.budget in methods[CARRIED])
    best: dict[int, TransferRow] = {}
    for row in rows:
        if row.schedule not in (CARRIED, TRAINED) and (row.budget not in best or row.lpips < best[row.budget].lpips):
            best[row.budget] = row

    def overall(rivals: Mapping[int, str]) -> RatioInterval:
        pairs = [(grouped[CARRIED, budget], grouped[name, budget]) for budget, name in rivals.items()]
        return paired_geometric_mean(pairs, samples=bootstrap_samples, seed=seed)

    common = [budget for budget in methods.get(TRAINED, {}) if budget in methods[CARRIED]]
    return Transfer(
        rows=rows,
        best_uniform=best,
        to_trained=overall(dict.fromkeys(common, TRAINED)) if common else None,
        to_uniform=overall({budget: row.schedule for budget, row in best.items()}),
    )


def write_transfer(found: Sequence[Transfer], folder: Path) -> tuple[Path, Path]:
    """Write ``transfer.parquet`` and ``transfer.csv`` into ``folder``.

    Raises:
        RunFailedError: if the folder cannot be written.
    """
    rows = [row for each in found for row in each.rows]
    return TRANSFER.write(rows, folder / "transfer.parquet"), TRANSFER.write_csv(rows, folder / "transfer.csv")
