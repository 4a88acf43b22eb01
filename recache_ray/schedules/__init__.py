"""Schedules, tables of schedules and budgets: standard library only, so a serving process loads them without torch."""

from recache_ray.schedules.budget import FREE, BudgetCost, budget_unit, parse_budget, parse_budgets, split_budgets
from recache_ray.schedules.schedule import Schedule
from recache_ray.schedules.schema import SCHEMA_VERSION
from recache_ray.schedules.table import ScheduleTable

__all__ = [
    "FREE",
    "SCHEMA_VERSION",
    "BudgetCost",
    "Schedule",
    "ScheduleTable",
    "budget_unit",
    "parse_budget",
    "parse_budgets",
    "split_budgets",
]
