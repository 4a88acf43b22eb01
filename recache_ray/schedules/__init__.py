"""Schedules, tables of schedules and budgets: standard library only, so a serving process loads them without torch."""

from recache_ray.schedules.budget import parse_budget, parse_budgets
from recache_ray.schedules.schedule import Schedule
from recache_ray.schedules.table import SCHEMA_VERSION, ScheduleTable

__all__ = ["SCHEMA_VERSION", "Schedule", "ScheduleTable", "parse_budget", "parse_budgets"]
