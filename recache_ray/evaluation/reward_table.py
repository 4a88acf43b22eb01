"""The cost of every schedule on every prompt: the ground truth that learning and search are judged by.

Shapes: M schedules, P prompts, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recache_ray.errors import BadInputError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.schedules import Schedule

# Added to every cost: a schedule that is exact to the last bit of an 8-bit picture is not infinitely good.
COST_FLOOR = 1e-5


@dataclass(frozen=True)
class RewardTable:
    """Costs (LPIPS, lower is better) of all schedules of some budgets.

    Attributes:
        name: says which table it is in a report.
        schedules: M schedules, every one of each budget.
        cost_MP: float64 [M, P].
        forecast_errors: float64 [T, T, T], what DPCache's calibration on the same prompts found.
    """

    name: str
    schedules: tuple[Schedule, ...]
    cost_MP: NDArray[np.float64]
    forecast_errors: NDArray[np.float64]
    _row: dict[Schedule, int] = field(init=False, repr=False)
    _best: dict[int, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", {schedule: row for row, schedule in enumerate(self.schedules)})
        best: dict[int, float] = {}
        for schedule, cost in zip(self.schedules, self.cost_MP.mean(1).tolist(), strict=True):
            best[schedule.budget] = min(cost, best.get(schedule.budget, math.inf))
        object.__setattr__(self, "_best", best)

    @property
    def num_steps(self) -> int:
        return self.schedules[0].num_steps

    @property
    def num_prompts(self) -> int:
        return self.cost_MP.shape[1]

    @property
    def budgets(self) -> tuple[int, ...]:
        return tuple(sorted(self._best))

    def cost(self, prompt: int, schedule: Schedule) -> float:
        """Cost of one schedule on one prompt, above zero."""
        return float(self.cost_MP[self._row[schedule], prompt]) + COST_FLOOR

    def mean_cost(self, schedule: Schedule) -> float:
        """Mean cost over the prompts, above zero."""
        return float(self.cost_MP[self._row[schedule]].mean()) + COST_FLOOR

    def regret(self, chosen: Mapping[int, Schedule]) -> float:
        """Mean cost over that of the best schedule, geometric mean over budgets; 1 is perfect."""
        logs = [math.log(self.mean_cost(chosen[k]) / (self._best[k] + COST_FLOOR)) for k in self.budgets]
        return math.exp(sum(logs) / len(logs))


def write_costs(path: Path, costs: Mapping[Schedule, float]) -> None:
    """Write one prompt's costs, the file appearing whole or not at all."""
    table = pa.table(
        {
            "compute_steps": pa.array([list(s.compute_steps) for s in costs], pa.list_(pa.int16())),
            "lpips": pa.array(list(costs.values()), pa.float64()),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_atomically(path, lambda partial: pq.write_table(table, partial))


def read_costs(path: Path, schedules: Sequence[Schedule]) -> list[float] | None:
    """The costs of ``schedules`` from a file of :func:`write_costs`; None where there is no such file.

    Raises:
        BadInputError: if the file is damaged or lacks a schedule.
    """
    if not path.exists():
        return None
    try:
        columns = pq.read_table(path).to_pydict()
        costs = dict(zip(map(tuple, columns["compute_steps"]), columns["lpips"], strict=True))
        return [float(costs[schedule.compute_steps]) for schedule in schedules]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise BadInputError(f"{path}: not a whole table of costs ({error!r}); remove it to measure it again") from error
