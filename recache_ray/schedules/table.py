"""The product of a training: one schedule for every budget, with its metrics and where it came from, as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules.budget import FREE, BudgetCost, parse_budget
from recache_ray.schedules.schedule import Schedule
from recache_ray.schedules.schema import SCHEMA_VERSION, current_document, sealed

_COSTS = ("computed_flops", "cached_flops", "computed_s", "cached_s")


@dataclass(frozen=True)
class ScheduleTable(Mapping[int, Schedule]):
    """Budget k to :class:`Schedule`, loadable in a serving process without torch.

    Attributes:
        num_steps: T, the same for every schedule.
        schedules: budget to schedule; ``schedules[k].budget == k``.
        model: id, revision, pipeline_class, scheduler, scheduler_hash, guidance, forwards_per_step, height, width,
            frames, dtype.
        mechanism: id, order, cut, library version.
        metrics: budget to named figures, for example ``{10: {"lpips": 0.031, "num_samples": 16}}``.
        provenance: run id, seed, versions, policy hash, date.
        cost: of a step where the run measured it: computed_flops, cached_flops, computed_s, cached_s.

    Raises:
        BadInputError: if a schedule does not fit its budget or T.
    """

    num_steps: int
    schedules: Mapping[int, Schedule]
    model: Mapping[str, Any] = field(default_factory=dict)
    mechanism: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for budget, schedule in self.schedules.items():
            if schedule.num_steps != self.num_steps or schedule.budget != budget:
                raise BadInputError(
                    f"schedule table: budget {budget} of T = {self.num_steps} holds a schedule with "
                    f"{schedule.budget} computed steps of T = {schedule.num_steps}"
                )

    def __getitem__(self, budget: int) -> Schedule:
        if budget not in self.schedules:
            raise BadInputError(f"budget = {budget}: not in this table; it has {_ranges(self.budgets)}")
        return self.schedules[budget]

    def get(self, budget: int, default: Any = None) -> Any:
        """The schedule of a budget, or ``default``: a mapping's own ``get`` expects a KeyError."""
        return self.schedules.get(budget, default)

    def __contains__(self, budget: object) -> bool:
        return budget in self.schedules

    def __iter__(self) -> Iterator[int]:
        return iter(self.budgets)

    def __len__(self) -> int:
        return len(self.schedules)

    @property
    def budgets(self) -> tuple[int, ...]:
        """The budgets in the table, ascending."""
        return tuple(sorted(self.schedules))

    def schedule(self, budget: int | str) -> Schedule:
        """The schedule of a budget in any form :func:`parse_budget` takes, at the costs the run measured.

        Raises:
            BadInputError: if it is malformed or not in the table, or is a time and the run measured none.
        """
        return self[parse_budget(budget, self.num_steps, cost=self._budget_cost())]

    def nearest(self, budget: int | str) -> Schedule:
        """The schedule that spends most within a budget in any form: that of the nearest trained budget below.

        Raises:
            BadInputError: if it is malformed or outside the budgets of the table, where nothing was learned.
        """
        k = parse_budget(budget, self.num_steps, cost=self._budget_cost())
        if not self.schedules or not self.budgets[0] <= k <= self.budgets[-1]:
            asked = f"budget = {budget!r}" + (f", {k} of {self.num_steps} steps" if budget != k else "")
            raise BadInputError(f"{asked}: outside this table, which has {_ranges(self.budgets)}; choose one of these")
        return self[max(each for each in self.budgets if each <= k)]

    def _budget_cost(self) -> BudgetCost:
        if not self.cost:
            return FREE
        share = self.cost["cached_flops"] / self.cost["computed_flops"]
        return BudgetCost(share, self.cost["computed_s"], self.cost["cached_s"])

    def resampled(self, num_steps: int) -> ScheduleTable:
        """The table at another T: every schedule keeps its budget and its noise levels (:meth:`Schedule.resampled`).

        A budget is a number of computed steps and stays one: the same k at the same noise levels is the same
        approximation of the trajectory, whereas the same k / T would need positions that nobody chose. For a ratio,
        ask the result: ``table.resampled(20).schedule("x5")``. Budgets above ``num_steps`` have no schedule there and
        are left out. ``metrics`` are too, since they were measured at the other T; ``provenance`` says where the
        schedules come from.

        Raises:
            BadInputError: if ``num_steps`` is less than every budget.
        """
        if num_steps == self.num_steps:
            return self
        kept = [budget for budget in self.budgets if budget <= num_steps]
        if not kept:
            raise BadInputError(
                f"num_steps = {num_steps}: below every budget of this table, which has {_ranges(self.budgets)}; "
                "choose more steps"
            )
        return ScheduleTable(
            num_steps,
            {budget: self.schedules[budget].resampled(num_steps) for budget in kept},
            model={**self.model, "num_steps": num_steps} if "num_steps" in self.model else self.model,
            mechanism=self.mechanism,
            provenance={**self.provenance, "resampled_from_num_steps": self.num_steps},
        )

    def to_json(self) -> dict[str, Any]:
        """The document of ``schedules.json``."""
        return sealed(
            {
                "schema_version": SCHEMA_VERSION,
                "model": dict(self.model),
                "num_steps": self.num_steps,
                "mechanism": dict(self.mechanism),
                "schedules": {str(budget): list(self.schedules[budget].compute_steps) for budget in self.budgets},
                "metrics": {str(budget): dict(self.metrics[budget]) for budget in sorted(self.metrics)},
                "provenance": dict(self.provenance),
                "cost": dict(self.cost),
            }
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, source: str = "schedule table") -> ScheduleTable:
        """Rebuild from the document of :meth:`to_json`, or from one of an older schema version.

        Raises:
            BadInputError: if it is of a newer version, changed by hand, or no schedule table.
        """
        document = current_document(document, source)
        try:
            num_steps = int(document["num_steps"])
            rows = {
                int(budget): Schedule(num_steps, tuple(int(step) for step in steps))
                for budget, steps in document["schedules"].items()
            }
            metrics = {int(budget): dict(values) for budget, values in document.get("metrics", {}).items()}
            cost = {name: float(document["cost"][name]) for name in _COSTS} if document.get("cost") else {}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInputError(f"{source}: not a schedule table ({error!r}); train or export it again") from error
        return cls(
            num_steps=num_steps,
            schedules=rows,
            model=document.get("model", {}),
            mechanism=document.get("mechanism", {}),
            metrics=metrics,
            provenance=document.get("provenance", {}),
            cost=cost,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON file atomically.

        Raises:
            RunFailedError: if the disk is full or refuses the write; a file already there stays as it was.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with partial.open("w", encoding="utf-8") as stream:
                stream.write(json.dumps(self.to_json(), indent=2) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)
        except OSError as error:
            raise RunFailedError(
                f"{path}: cannot write the schedule table ({error.strerror or error}); free space or allow writing"
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScheduleTable:
        """Read a file written by :meth:`save`.

        Raises:
            BadInputError: if the file is missing, not JSON or not a schedule table.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInputError(
                f"{path}: cannot read a schedule table ({error}); give the schedules.json of a run"
            ) from error
        if not isinstance(document, dict):
            raise BadInputError(f"{path}: not a schedule table; give the schedules.json of a run")
        return cls.from_json(document, source=str(path))


def _ranges(budgets: tuple[int, ...]) -> str:
    if budgets and budgets == tuple(range(budgets[0], budgets[-1] + 1)) and len(budgets) > 2:
        return f"{budgets[0]}..{budgets[-1]}"
    return ", ".join(map(str, budgets)) or "none"
