"""Methods in the order of their LPIPS relative to uniform schedules, run by run, and whether seeds agree on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import LPIPS_FLOOR
from recache_ray.evaluation.results.order import order_agreement
from recache_ray.evaluation.results.records import RunResult
from recache_ray.evaluation.table import POLICY

REFERENCE = "uniform"


def standings(run: RunResult) -> dict[str, float]:
    """Method to its LPIPS over that of evenly spaced schedules, geometric mean over all budgets; lowest first.

    Methods without a schedule for some budget of the policy have no place.

    Raises:
        BadInputError: if the run was evaluated without ``uniform``.
    """
    lpips = {each.method: {p.budget: max(p.lpips, LPIPS_FLOOR) for p in each.points} for each in run.methods}
    if REFERENCE not in lpips:
        raise BadInputError(f"{run.title}: was evaluated without the baseline uniform; add it: recache evaluate")
    budgets = sorted(lpips[POLICY])
    logs = {
        method: sum(math.log(found[k] / lpips[REFERENCE][k]) for k in budgets) / len(budgets)
        for method, found in lpips.items()
        if all(k in found for k in budgets)
    }
    return {method: math.exp(logs[method]) for method in sorted(logs, key=lambda method: (logs[method], method))}


def ranks(standing: Mapping[str, float], among: Sequence[str]) -> dict[str, int]:
    """Place of each method among those given; equal values share the better place."""
    values = sorted(standing[method] for method in among)
    return {method: 1 + values.index(standing[method]) for method in among}


def agreement(runs: Sequence[RunResult]) -> list[str]:
    """Per mechanism and T with several seeds, whether these rank their common methods alike, in a sentence or two."""
    grouped: dict[tuple[str, int], list[RunResult]] = {}
    for run in runs:
        grouped.setdefault((run.mechanism, run.num_steps), []).append(run)
    sentences = []
    for (mechanism, num_steps), group in grouped.items():
        if len(group) < 2:
            continue
        standing = [standings(run) for run in group]
        common = [method for method in standing[0] if all(method in other for other in standing[1:])]
        places = [ranks(each, common) for each in standing]
        moved = [method for method in common if len({place[method] for place in places}) > 1]
        leaders = [sorted(method for method in common if place[method] == 1) for place in places]
        seeds = " and ".join(str(run.seed) for run in group)
        head = f"{mechanism}, T = {num_steps}, seeds {seeds}: the ranking of the {len(common)} methods all of them have"
        if moved:
            head += f" differs in {len(moved)} ({', '.join(moved)})"
        else:
            head += " agrees"
        same = all(leader == leaders[0] for leader in leaders)
        first = ", ".join(leaders[0]) if same else " / ".join(", ".join(leader) for leader in leaders)
        decided = [run.decided for run in group if run.decided is not None]
        also = f" {order_agreement(decided, common)}" if len(decided) == len(group) else ""
        sentences.append(f"{head}; first: {first}.{also}")
    return sentences
