"""The synthetic run as the report reads it."""

from collections.abc import Sequence
from pathlib import Path

from recache_ray.evaluation.report.inputs import ReportInputs, read_inputs
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import ScheduleTable


def inputs_of(folder: Path) -> ReportInputs:
    policy = BudgetPolicy.from_pretrained(folder / "policy")

    def inclusion(budgets: Sequence[int]) -> dict[int, list[float]]:
        return {k: policy.distribution(k).inclusion().detach().tolist() for k in budgets}

    table = ScheduleTable.load(folder / "schedules.json")
    return read_inputs(folder, table, inclusion, ("recache train",), bootstrap_samples=100, seed=0)
