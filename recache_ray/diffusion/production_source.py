"""From what a user has (a schedule, a table, a policy) and a budget to the schedule their pipeline follows."""

from __future__ import annotations

import warnings
from typing import Any

from recache_ray.caching.registry import parse_mechanism
from recache_ray.errors import BadInputError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule, ScheduleTable, parse_budget
from recache_ray.types import MechanismSpec

ScheduleSource = Schedule | ScheduleTable | BudgetPolicy

_DEFAULT_MECHANISM = "taylor"


def chosen_schedule(source: ScheduleSource, budget: int | str | None) -> Schedule:
    """The schedule of ``budget``, or the given one.

    A table resolves ratios and times at the costs its run measured, and takes the nearest budget below where it lacks
    the one asked for, with a warning. A policy has a schedule for every k; its ratios are ratios of steps.

    Raises:
        BadInputError: if the budget is missing, malformed or outside the learned ones, or a lone schedule is given one.
    """
    if isinstance(source, Schedule):
        if budget is not None:
            raise BadInputError(
                f"budget = {budget!r}: a schedule has its own ({source.budget}); leave it out, or give a table"
            )
        return source
    if budget is None:
        raise BadInputError(f'budget: must be given with a {type(source).__name__}; for example budget="x4"')
    if isinstance(source, ScheduleTable):
        schedule = source.nearest(budget)
        if isinstance(budget, int) and schedule.budget != budget:
            warnings.warn(
                f"budget = {budget}: not a learned one, the nearest below is {schedule.budget} of {schedule.num_steps} "
                "steps",
                stacklevel=3,
            )
        return schedule
    if isinstance(source, BudgetPolicy):
        k = parse_budget(budget, source.num_steps)
        if not source.budgets[0] <= k <= source.budgets[-1]:
            raise BadInputError(
                f"budget = {budget!r}, {k} of {source.num_steps} steps: outside the learned budgets "
                f"{source.budgets[0]}..{source.budgets[-1]}; choose one between them"
            )
        return source.schedule(k)
    raise BadInputError(f"{type(source).__name__}: not a Schedule, ScheduleTable or BudgetPolicy; give one of these")


def chosen_mechanism(source: ScheduleSource, mechanism: str | MechanismSpec | None) -> MechanismSpec:
    """The mechanism asked for, else the one the table was learned with, else Taylor of order 1."""
    if mechanism is None and isinstance(source, ScheduleTable):
        mechanism = source.mechanism.get("id")
    return parse_mechanism(_DEFAULT_MECHANISM if mechanism is None else mechanism)


def check_same_model(source: ScheduleSource, pipe: Any) -> None:
    """Refuse a table of another class of pipeline; fine-tuned weights of the same class are the user's to judge.

    Raises:
        BadInputError: naming both.
    """
    if not isinstance(source, ScheduleTable):
        return
    learned, given = source.model.get("pipeline_class"), type(pipe).__name__
    if learned is not None and learned != given:
        raise BadInputError(
            f"{given}: the table was learned for {source.model.get('id', 'a model')} ({learned}); give the table of "
            "this model"
        )
