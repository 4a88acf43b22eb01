"""Regrets of learning and search methods on exhaustive tables, and whether learning met its targets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import TypeVar

from rich import box
from rich.table import Table

TARGETS: Mapping[int, float] = {1000: 1.10, 2000: 1.05, 4000: 1.02}
"""Most regret a learner may have after so many evaluations, mean over the tables of one T, to two decimals."""

JUDGED = "path"
"""The method the targets are for; the methods whose name starts with ``RIVAL`` may not be ahead of it."""

RIVAL = "annealing"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LearningRun:
    """One method, once, on one table.

    Attributes:
        regret: geometric mean over budgets of the chosen schedule's mean cost over the best one's.
        asked: generations it asked for, at most ``evaluations``; uncached ones for a calibrated method.
        seconds: of the whole run; asking a table takes next to none of it.
    """

    table: str
    num_steps: int
    method: str
    evaluations: int
    seed: int
    regret: float
    asked: int
    seconds: float


@dataclass(frozen=True)
class LearningReport:
    """All runs, and the machine they ran on."""

    runs: Sequence[LearningRun]
    machine: Mapping[str, str | int]

    def regrets(self, table: str, method: str, evaluations: int) -> list[float]:
        """One regret per seed."""
        key = (table, method, evaluations)
        return [run.regret for run in self.runs if (run.table, run.method, run.evaluations) == key]

    def tables(self, num_steps: int) -> list[str]:
        """Names of the tables of one T."""
        return _distinct(run.table for run in self.runs if run.num_steps == num_steps)

    def mean_regrets(self, num_steps: int, method: str, evaluations: int) -> list[float]:
        """One mean over the tables of one T per seed."""
        over_tables = [self.regrets(table, method, evaluations) for table in self.tables(num_steps)]
        return [fmean(of_seed) for of_seed in zip(*over_tables, strict=True)]

    def misses(self) -> list[str]:
        """One line per T or table and number of evaluations that miss; means over seeds are compared."""
        lines = []
        for num_steps, evaluations in self._blocks():
            own = {table: fmean(self.regrets(table, JUDGED, evaluations)) for table in self.tables(num_steps)}
            mean, worst = fmean(own.values()), max(own, key=own.__getitem__)
            if round(mean, 2) > TARGETS.get(evaluations, float("inf")):
                lines.append(
                    f"T = {num_steps} after {evaluations}: regret {mean:.3f}, target {TARGETS[evaluations]:.2f}; "
                    f"worst {own[worst]:.3f} on {worst}"
                )
            for table, rival in itertools.product(own, self._rivals()):
                other = fmean(self.regrets(table, rival, evaluations))
                if own[table] > other + 5e-4:
                    lines.append(
                        f"{table} after {evaluations}: regret {own[table]:.3f}, behind {rival} with {other:.3f}"
                    )
        return lines

    def _blocks(self) -> list[tuple[int, int]]:
        """Every T with every number of evaluations."""
        return _distinct((run.num_steps, run.evaluations) for run in self.runs)

    def _rivals(self) -> list[str]:
        return _distinct(run.method for run in self.runs if run.method.startswith(RIVAL))

    def to_json(self) -> dict[str, object]:
        """All figures, plain values."""
        return {"runs": [asdict(run) for run in self.runs], "misses": self.misses(), "machine": dict(self.machine)}

    def table(self) -> Table:
        """Mean (and spread over seeds) per method: a row per table and number of evaluations, and their means per T."""
        methods = _distinct(run.method for run in self.runs)
        seeds = len({run.seed for run in self.runs})
        table = Table(
            box=box.SIMPLE_HEAD,
            title=f"regret of the returned schedules, mean of {seeds} seed{'s' * (seeds > 1)}, ± standard deviation",
            title_justify="left",
            padding=(0, 1, 0, 0),
        )
        table.add_column("table")
        table.add_column("evaluations", justify="right")
        for method in methods:
            table.add_column(method, justify="right")
        for name in _distinct(run.table for run in self.runs):
            for evaluations in _distinct(run.evaluations for run in self.runs):
                cells = [_cell(self.regrets(name, method, evaluations)) for method in methods]
                table.add_row(name, str(evaluations), *cells)
            table.add_section()
        for num_steps, evaluations in self._blocks():
            cells = [_cell(self.mean_regrets(num_steps, method, evaluations)) for method in methods]
            table.add_row(f"T = {num_steps}, mean of {len(self.tables(num_steps))}", str(evaluations), *cells)
        return table


def _cell(regrets: Sequence[float]) -> str:
    spread = f" ±{stdev(regrets):.3f}" if len(regrets) > 1 else ""
    return f"{fmean(regrets):.3f}{spread}" if regrets else "-"


def _distinct(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
