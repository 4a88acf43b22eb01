"""What a report is made of, read from a run's folder; no model, no references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import FrontierRow, read_frontier
from recache_ray.evaluation.pictures import PICTURES, Picture
from recache_ray.evaluation.samples import SAMPLES, Sample
from recache_ray.evaluation.search_cost import COSTS, SearchCost
from recache_ray.evaluation.table import POLICY
from recache_ray.schedules import ScheduleTable
from recache_ray.tracking.jsonl import MetricsLine, read_metrics

Method = tuple[str, str]
"""A way to choose schedules and the mechanism it was measured with, as in the frontier."""


@dataclass(frozen=True)
class ReportInputs:
    """The files of a run and its evaluation.

    Attributes:
        name: of the run.
        table: the learned schedules with their provenance.
        rows: the frontier.
        samples: every generation behind it.
        pictures: the examples.
        lines: metrics.jsonl.
        costs: what every method ran to find its schedules; empty where the evaluation did not record it.
        inclusion: budget to the policy's probability that each of the T steps is computed.
        commands: what to type to get this page again, one command each.
        bootstrap_samples: resamplings behind every interval of the page.
        seed: of the run and of the resampling.
    """

    name: str
    table: ScheduleTable
    rows: tuple[FrontierRow, ...]
    samples: tuple[Sample, ...]
    pictures: tuple[Picture, ...]
    lines: tuple[MetricsLine, ...]
    costs: tuple[SearchCost, ...]
    inclusion: Mapping[int, Sequence[float]]
    commands: tuple[str, ...]
    bootstrap_samples: int
    seed: int

    @cached_property
    def budgets(self) -> tuple[int, ...]:
        """The budgets the policy was evaluated at, ascending."""
        return tuple(sorted({row.budget for row in self.rows if row.schedule == POLICY}))

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """The policy, then the others from the closest to the uncached pictures to the farthest."""
        found: dict[Method, list[float]] = {}
        for row in self.rows:
            found.setdefault((row.schedule, row.mechanism), []).append(row.lpips)
        return tuple(sorted(found, key=lambda m: (m[0] != POLICY, sum(found[m]) / len(found[m]), m)))

    @cached_property
    def by_point(self) -> Mapping[tuple[Method, int], tuple[Sample, ...]]:
        """The samples of every method and budget."""
        grouped: dict[tuple[Method, int], list[Sample]] = {}
        for sample in self.samples:
            grouped.setdefault(((sample.schedule, sample.mechanism), sample.budget), []).append(sample)
        return {point: tuple(samples) for point, samples in grouped.items()}

    def row(self, method: Method, budget: int) -> FrontierRow | None:
        """The frontier's row of a method and budget; None where it was not evaluated."""
        return next((row for row in self.rows if (row.schedule, row.mechanism, row.budget) == (*method, budget)), None)

    def label(self, method: Method) -> str:
        """The method's name, with the mechanism where several were evaluated."""
        several = len({row.mechanism for row in self.rows}) > 1
        return f"{method[0]} ({method[1]})" if several else method[0]


def read_inputs(
    folder: Path,
    table: ScheduleTable,
    inclusion_of: Callable[[Sequence[int]], Mapping[int, Sequence[float]]],
    commands: Sequence[str],
    *,
    bootstrap_samples: int,
    seed: int,
) -> ReportInputs:
    """Read the evaluation of the run in ``folder``; ``inclusion_of`` is asked for the budgets found there.

    Raises:
        BadInputError: if the run was not evaluated, or a file is damaged or not of the same evaluation.
    """
    evaluation, remedy = folder / "evaluation", f"recache evaluate run.dir={folder}"
    for name in ("frontier.parquet", "samples.parquet", "pictures.parquet"):
        if not (evaluation / name).exists():
            raise BadInputError(f"run.dir = {str(folder)!r}: has no evaluation/{name}; evaluate it first: {remedy}")
    rows = read_frontier(evaluation / "frontier.parquet")
    samples = SAMPLES.read(evaluation / "samples.parquet")
    if not any(row.schedule == POLICY for row in rows):
        raise BadInputError(f"{evaluation / 'frontier.parquet'}: has no row of the policy; write it again: {remedy}")
    counts: dict[tuple[str, str, int], int] = {}
    for sample in samples:
        point = (sample.schedule, sample.mechanism, sample.budget)
        counts[point] = counts.get(point, 0) + 1
    if counts != {(row.schedule, row.mechanism, row.budget): row.num_samples for row in rows}:
        raise BadInputError(f"{evaluation}: frontier and samples are of two evaluations; write them again: {remedy}")
    try:
        lines = tuple(read_metrics(folder / "metrics.jsonl"))
    except FileNotFoundError:
        lines = ()
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{folder / 'metrics.jsonl'}: not a metrics.jsonl ({error!r}); restore or remove it"
        ) from error
    return ReportInputs(
        name=folder.resolve().name,
        table=table,
        rows=rows,
        samples=samples,
        pictures=PICTURES.read(evaluation / "pictures.parquet"),
        lines=lines,
        costs=COSTS.read(evaluation / "cost.parquet") if (evaluation / "cost.parquet").exists() else (),
        inclusion=inclusion_of(sorted({row.budget for row in rows if row.schedule == POLICY})),
        commands=tuple(commands),
        bootstrap_samples=bootstrap_samples,
        seed=seed,
    )
