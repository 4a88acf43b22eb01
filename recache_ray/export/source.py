"""What every exporter starts from: one schedule of a table, and what a server must be told about its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule, ScheduleTable

_MECHANISM = re.compile(r"([a-z_]+?)(\d*)")


@dataclass(frozen=True, slots=True)
class ExportSource:
    """One schedule with its context.

    Attributes:
        schedule: what is exported.
        mechanism: kind of the forecast of cached steps, for example ``taylor``.
        order: of the forecast; 0 is reuse.
        separate_cfg: whether the transformer runs twice a step, once per guidance branch.
        model: id of the model the schedule was learned for.
        pipeline_class: its diffusers pipeline.
        table: the whole table, for carriers that hold several budgets.
    """

    schedule: Schedule
    mechanism: str
    order: int
    separate_cfg: bool
    model: str
    pipeline_class: str
    table: ScheduleTable

    @property
    def mask(self) -> list[int]:
        """1 = compute, 0 = cached, of length T."""
        return [int(compute) for compute in self.schedule.compute_mask]

    @property
    def title(self) -> str:
        """One line for the head of a file."""
        return (
            f"{self.schedule.budget} of {self.schedule.num_steps} steps computed, for {self.model} "
            f"({self.pipeline_class}), {self.mechanism_id} caching"
        )

    @property
    def mechanism_id(self) -> str:
        """For example ``taylor1`` or ``reuse``."""
        return f"{self.mechanism}{self.order}" if self.order else self.mechanism


@dataclass(frozen=True, slots=True)
class Export:
    """What an exporter made.

    Attributes:
        files: name to text.
        exact: whether the server will compute exactly the steps of the schedule.
        computes: the steps it will compute.
        notes: what the user must know, one line each.
    """

    files: Mapping[str, str]
    computes: Schedule
    exact: bool = True
    notes: tuple[str, ...] = field(default=())


def export_source(table: ScheduleTable, budget: int | str, mechanism: str = "") -> ExportSource:
    """The schedule of ``budget`` with what the table says about model and mechanism.

    Args:
        table: of a run.
        budget: in any form the table takes.
        mechanism: id in place of the one the table was learned with, for example ``reuse``.

    Raises:
        BadInputError: if the table lacks the budget, or does not say how guidance runs or what cached steps do.
    """
    kind, order = _mechanism(table.mechanism, mechanism)
    forwards = table.model.get("forwards_per_step")
    if forwards not in (1, 2):
        raise BadInputError(
            f"schedules.json: model.forwards_per_step = {forwards!r}: must be 1, or 2 where the transformer runs once "
            "per guidance branch; a server that is not told caches the wrong steps. Write "
            "the table again with it in ScheduleTable(model=...)"
        )
    return ExportSource(
        schedule=table.schedule(budget),
        mechanism=kind,
        order=order,
        separate_cfg=forwards == 2,
        model=str(table.model.get("id", "unknown model")),
        pipeline_class=str(table.model.get("pipeline_class", "DiffusionPipeline")),
        table=table,
    )


def _mechanism(recorded: Mapping[str, Any], asked: str) -> tuple[str, int]:
    name = asked or str(recorded.get("id", ""))
    found = _MECHANISM.fullmatch(name)
    if found is None:
        raise BadInputError(
            f"mechanism = {name!r}: neither schedules.json nor export.mechanism names one; pass export.mechanism=reuse "
            "or taylor1"
        )
    return found[1], int(found[2] or 0)
