"""Whom the policy is measured against: at every budget, the method that came closest to the uncached picture."""

from __future__ import annotations

from collections.abc import Container, Iterable

from recache_ray.evaluation.frontier import FrontierRow
from recache_ray.evaluation.table import POLICY


def best_rivals(rows: Iterable[FrontierRow], among: Container[str] | None = None) -> dict[int, FrontierRow]:
    """Budget to the row of lowest LPIPS that is not the policy's; budgets without a rival are left out.

    The choice is made on the prompts it is reported on, which favours the rival.

    Args:
        rows: a frontier.
        among: names of the methods to choose from; all of them by default.
    """
    best: dict[int, FrontierRow] = {}
    for row in rows:
        if row.schedule == POLICY or (among is not None and row.schedule not in among):
            continue
        if row.budget not in best or row.lpips < best[row.budget].lpips:
            best[row.budget] = row
    return dict(sorted(best.items()))
