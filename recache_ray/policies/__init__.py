"""Distributions over schedules with exactly k computed steps, and the policy over all budgets."""
