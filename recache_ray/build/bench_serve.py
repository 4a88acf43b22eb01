"""The verb ``bench serve``: clients with mixed budgets against a running server."""

from __future__ import annotations

from recache_ray.config.root import Config
from recache_ray.serving.load_test import run_load


def bench_serve(config: Config) -> tuple[str, bool]:
    """Latency by budget, and whether every answer came and computed the steps of its budget.

    Raises:
        BadInputError: if no server answers.
    """
    section = config.load
    report = run_load(section.url, section.clients, section.seconds, section.seed)
    return report.text(), report.passed
