"""Which measurements the surrogate is fitted on: those of the best schedules, where precision matters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from recache_ray.learning.log_domain import log_domain
from recache_ray.learning.surrogate import Measurement
from recache_ray.schedules import Schedule

MAX_FITTED = 1000
"""Measurements in all, since fitting takes their number cubed."""

MIN_FITTED_PER_BUDGET = 100


def telling_rows(rows: Sequence[Measurement], budgets: Sequence[int]) -> list[Measurement]:
    """The measurements of the best schedules of every budget, about as many for each.

    A schedule is taken with its failures or not at all: its best rows alone would hide the prompts it fails on. Which
    schedules are best is judged with the prompts' own ease taken off.
    """
    per_budget = max(MIN_FITTED_PER_BUDGET, MAX_FITTED // len(budgets))
    by_budget: dict[int, list[tuple[Measurement, float]]] = {budget: [] for budget in budgets}
    for row, value in zip(rows, log_domain([row.reward for row in rows]), strict=True):
        by_budget[row.schedule.budget].append((row, value))
    chosen: list[Measurement] = []
    for here in by_budget.values():
        ease = _mean_by_request(here)
        by_schedule: dict[Schedule, list[tuple[Measurement, float]]] = defaultdict(list)
        for row, value in here:
            by_schedule[row.schedule].append((row, value - ease[row.request]))
        ranked = sorted(by_schedule.values(), key=lambda found: fmean(value for _, value in found), reverse=True)
        taken = 0
        for found in ranked:
            if taken >= per_budget:
                break
            chosen += [row for row, _ in found]
            taken += len(found)
    return chosen


def _mean_by_request(rows: Sequence[tuple[Measurement, float]]) -> dict[int, float]:
    """How easy each request is: an easy one gives any schedule a high value."""
    values: dict[int, list[float]] = defaultdict(list)
    for measurement, value in rows:
        values[measurement.request].append(value)
    return {request: fmean(found) for request, found in values.items()}
