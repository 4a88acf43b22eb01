"""What every method ran to find its schedules, beside what these schedules achieve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from recache_ray.evaluation.record_file import RecordFile
from recache_ray.evaluation.table import POLICY
from recache_ray.evaluation.work import Work
from recache_ray.tracking.jsonl import MetricsLine


@dataclass(frozen=True, slots=True)
class SearchCost:
    """One part of what a method ran; field order is the column order of ``cost.parquet``.

    Methods that share a calibration each have it in full. Probes of gates are left out.

    Attributes:
        method: ``policy`` or the name of a baseline, as in the frontier.
        part: ``references``, ``policy gradient``, ``polish``, ``search``, ``thresholds``, or a kind of calibration.
        budgets: those the part serves.
        generations: pictures generated.
        forwards_requested: transformer forwards one pipeline call per schedule would have taken.
        forwards_executed: those that ran.
        seconds: worker time; of references the denoising only, at the measured seconds of a computed step, whether
            they were stored before or not.
    """

    method: str
    part: str
    budgets: tuple[int, ...]
    generations: int
    forwards_requested: int
    forwards_executed: int
    seconds: float

    @classmethod
    def of(cls, method: str, part: str, budgets: Iterable[int], work: Work) -> SearchCost:
        """A row from the work it took."""
        counts = (work.generations, work.forwards_requested, work.forwards_executed)
        return cls(method, part, tuple(budgets), *counts, work.seconds)

    @property
    def work(self) -> Work:
        """The counts of this row."""
        return Work(self.generations, self.forwards_requested, self.forwards_executed, self.seconds)


COSTS = RecordFile(SearchCost, "search costs")
"""Reads and writes ``cost.parquet``."""


_PHASES = {
    "screen/requests": "screening",
    "polish/evaluations": "polish",
    "confirm/evaluations": "confirmation",
}


def training_costs(lines: Iterable[MetricsLine], budgets: Sequence[int]) -> tuple[SearchCost, ...]:
    """What a run's own records say of its phases of learning, interruptions included.

    Work whose result a kill took with it, done again after a resume, is counted once. Empty where a line lacks the
    figures, as those of a run trained by an earlier release.
    """
    phases: dict[str, Work] = {}
    for line in lines:
        part = next((part for name, part in _PHASES.items() if name in line.metrics), "policy gradient")
        if line.is_evaluation:
            continue
        found = [line.metrics.get(f"work/{name}") for name in Work.__dataclass_fields__]
        counts = [value for value in found if value is not None]
        if len(counts) < len(found):
            return ()
        phases[part] = phases.get(part, Work()) + Work(round(counts[0]), round(counts[1]), round(counts[2]), counts[3])
    return tuple(SearchCost.of(POLICY, part, budgets, work) for part, work in phases.items())


def total_work(costs: Iterable[SearchCost]) -> dict[str, Work]:
    """Method to the sum of its parts, methods in the order they come."""
    totals: dict[str, Work] = {}
    for cost in costs:
        totals[cost.method] = totals.get(cost.method, Work()) + cost.work
    return totals


def cost_table(costs: Sequence[SearchCost]) -> Table:
    """A line per method: what it ran for all its budgets together, and where most of it went."""
    table = Table(
        title="What finding the schedules took, all budgets together",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", no_wrap=True)
    for header in ("budgets", "generations", "forwards", "worker s"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("of which")
    for method, work in total_work(costs).items():
        own = [cost for cost in costs if cost.method == method]
        table.add_row(
            method,
            str(len({budget for cost in own for budget in cost.budgets})),
            f"{work.generations:,}",
            f"{work.forwards_executed:,}",
            f"{work.seconds:,.0f}",
            parts_text(own),
        )
    return table


def parts_text(costs: Iterable[SearchCost]) -> str:
    """``references 1,920, polish 9,000``: forwards by part, parts of several budgets added up."""
    parts: dict[str, int] = {}
    for cost in costs:
        parts[cost.part] = parts.get(cost.part, 0) + cost.forwards_executed
    return ", ".join(f"{part} {forwards:,}" for part, forwards in parts.items())
