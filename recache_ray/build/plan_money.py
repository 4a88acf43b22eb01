"""Wall time and money: beforehand for several numbers of rollout actors, afterwards for what was used."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from recache_ray.build.plain_text import plain
from recache_ray.build.prices import bill
from recache_ray.build.workload import GRADIENT, Phase
from recache_ray.config.learning import LearningConfig
from recache_ray.config.root import Config
from recache_ray.diffusion.cost import StepCost

_FACTORS = (0.25, 0.5, 1, 2, 4)


def money_lines(config: Config, phases: Sequence[Phase], step: StepCost) -> list[str]:
    """A table over numbers of workers around ``runtime.num_workers``, and what its prices are; empty without prices.

    Raises:
        BadInputError: if the price table cannot be used.
    """
    if bill(config, config.runtime.num_workers) is None:
        return []
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("workers", "wall hours", "GPU-hours", "machines", "money"):
        table.add_column(column, justify="right")
    terms = ""
    for workers in sorted({max(1, round(factor * config.runtime.num_workers)) for factor in _FACTORS}):
        billed = bill(config, workers)
        assert billed is not None
        hours = wall_hours(config, phases, step, workers)
        gpus = billed.machines * billed.machine.gpus
        table.add_row(str(workers), f"{hours:.3g}", f"{hours * gpus:.3g}", str(billed.machines), billed.money(hours))
        terms = f"{billed.machine.name} {'spot' if billed.spot else 'on demand'}, {billed.prices.currency}"
        source = f"{billed.prices.file} ({billed.prices.as_of})"
    head = f" and one {config.price.head}" if config.price.head else ", the head not counted"
    return [
        "",
        plain(table),
        f"money      {terms}, whole machines{head}; prices of {source}",
        "           machines are paid for while they wait, too: GPU-hours here are those billed",
    ]


def wall_hours(config: Config, phases: Sequence[Phase], step: StepCost, workers: int) -> float:
    """Hours of the whole run with so many workers, those idle for want of tasks included."""
    seconds = 0.0
    for phase in phases:
        busy = min(workers, tasks_at_once(config.learning)) if phase.name == GRADIENT else workers
        seconds += phase.seconds(step, config.plan.extra_s) / busy
    return seconds / 3600


def tasks_at_once(learning: LearningConfig) -> int:
    """The most training tasks that may run side by side: those of an update and of the updates that may be ahead."""
    ahead = learning.policy_lag + 1 if learning.order == "deterministic" else max(1, learning.max_policy_lag)
    return learning.tasks_per_update * ahead


def actual_line(config: Config, seconds: float) -> str:
    """What the machines of a training that took so long cost; empty without prices.

    Raises:
        BadInputError: if the price table cannot be used.
    """
    workers = config.runtime.num_workers
    billed = bill(config, workers)
    if billed is None:
        return ""
    hours = seconds / 3600
    gpus = billed.machines * billed.machine.gpus
    head = f" and {config.price.head}" if config.price.head else ""
    return (
        f"money: {billed.money(hours)} for {hours:.3g} h of {billed.terms}{head} ({hours * gpus:.3g} GPU-hours, this "
        f"start of the run alone; prices of {billed.prices.file}, {billed.prices.as_of})"
    )
