"""Results at one look, for a page that is about more than them: every rival in one table, a column per run."""

from __future__ import annotations

import math

from recache_ray.evaluation.results.records import MethodResult, Point, Results, RunResult
from recache_ray.evaluation.results.render import budgets_text, markdown_table, wins_at
from recache_ray.evaluation.table import POLICY


def render_digest(results: Results, picture: str, page: str) -> str:
    """Ours against every rival, what rivals win, provenance; ``picture`` and ``page``, with the rest, are paths."""
    ours = dict.fromkeys(budgets_text(each.points) for run in results.runs for each in run.methods if _is_ours(each))
    parts = [
        "Our LPIPS to the uncached pictures over a rival's on the same held-out prompts: below 1 ours is closer to "
        f"them. Geometric mean over budgets ({', '.join(ours)}), in brackets its paired 95% interval; the rival that "
        "comes closest first. *Best of each budget* is the best one at every budget, chosen on these very prompts.",
        f"![LPIPS over measured FLOPs ratio, ours bold]({picture})",
        _ratios(results),
        _ahead(results),
        "Forwards to find the schedules, adaptive rivals at equal FLOPs, the ranking, typical prompts and how each run "
        f"was started: [{page}]({page}). Made by `{results.command}` from",
        "\n".join(
            f"* {run.title}: {run.model}, {run.num_prompts} prompts, {run.date}, {run.machine}, commit {run.commit}"
            for run in results.runs
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _ratios(results: Results) -> str:
    runs = [{each.method: each for each in run.methods if not _is_ours(each)} for run in results.runs]
    methods = dict.fromkeys(method for run in runs for method in run)
    closeness = {method: _mean([run[method].ratio for run in runs if method in run]) for method in methods}
    rows = [
        (
            method,
            next(run[method].family for run in runs if method in run),
            *(_ratio(run[method], of) if method in run else "" for run, of in zip(runs, results.runs, strict=True)),
        )
        for method in sorted(methods, key=lambda method: (-closeness[method], method))
    ]
    rows.append(("*best of each budget*", "", *(f"{_best_of_each_budget(run):.2f}" for run in results.runs)))
    return markdown_table(("rival", "family", *(run.title for run in results.runs)), rows)


def _best_of_each_budget(run: RunResult) -> float:
    best: dict[int, float] = {}
    for each in run.methods:
        for point in () if _is_ours(each) else each.points:
            best[point.budget] = max(point.ratio, best.get(point.budget, 0.0))
    return _mean(list(best.values()))


def _ratio(each: MethodResult, run: RunResult) -> str:
    """The ratio with its interval, and its budgets where it has not all of ours."""
    (ours,) = [method for method in run.methods if _is_ours(method)]
    budgets = budgets_text(each.points)
    at = "" if budgets == budgets_text(ours.points) else f", at {budgets}"
    return f"{each.ratio:.2f} ({each.low:.2f} to {each.high:.2f}){at}"


def _mean(ratios: list[float]) -> float:
    return math.exp(sum(math.log(max(ratio, 1e-12)) for ratio in ratios) / len(ratios))


def _ahead(results: Results) -> str:
    """Who has a lower mean than ours and where: a line per run."""
    lines = [f"* {run.title}: {'; '.join(found)}" for run in results.runs if (found := _ahead_in(run))]
    if not lines:
        return "No rival wins at any budget."
    return "\n".join(["Where a rival has the lower mean, with the ratio there:", "", *lines])


def _ahead_in(run: RunResult) -> list[str]:
    found = []
    for each in run.methods:
        ahead = [point for point in each.points if not _is_ours(each) and wins_at(point)]
        undecided, decided = [p for p in ahead if p.low <= 1], [p for p in ahead if p.low > 1]
        found += [f"**{each.method} at {_places(decided)}, decided**"] if decided else []
        found += [f"{each.method} at {_places(undecided)}, undecided"] if undecided else []
    return found


def _places(points: list[Point]) -> str:
    return ", ".join(f"{point.budget} ({point.ratio:.2f})" for point in points)


def _is_ours(each: MethodResult) -> bool:
    return each.method == POLICY
