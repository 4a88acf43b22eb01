"""Results at one look, for a page that is about more than them: every rival in one table, a column per run."""

from __future__ import annotations

import math

from recache_ray.evaluation.results.records import MethodResult, Results, RunResult
from recache_ray.evaluation.results.render import budgets_text, markdown_table, rivals_ahead
from recache_ray.evaluation.table import POLICY


def render_digest(results: Results, picture: str, page: str) -> str:
    """Ours against every rival, what rivals win, provenance; ``picture`` and ``page``, with the rest, are paths."""
    ours = dict.fromkeys(budgets_text(each.points) for run in results.runs for each in run.methods if _is_ours(each))
    parts = [
        "Our LPIPS to the uncached pictures over a rival's on the same held-out prompts: below 1 ours is closer to "
        f"them. Geometric mean over budgets ({', '.join(ours)}), in brackets its paired 95% interval; the rival that "
        "comes closest first.",
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
    closeness = {method: _mean_ratio([run[method] for run in runs if method in run]) for method in methods}
    rows = [
        (
            method,
            next(run[method].family for run in runs if method in run),
            *(_ratio(run[method], of) if method in run else "" for run, of in zip(runs, results.runs, strict=True)),
        )
        for method in sorted(methods, key=lambda method: (-closeness[method], method))
    ]
    return markdown_table(("rival", "family", *(run.title for run in results.runs)), rows)


def _ratio(each: MethodResult, run: RunResult) -> str:
    """The ratio with its interval, and its budgets where it has not all of ours."""
    (ours,) = [method for method in run.methods if _is_ours(method)]
    budgets = budgets_text(each.points)
    at = "" if budgets == budgets_text(ours.points) else f", at {budgets}"
    return f"{each.ratio:.2f} ({each.low:.2f} to {each.high:.2f}){at}"


def _mean_ratio(found: list[MethodResult]) -> float:
    return math.exp(sum(math.log(max(each.ratio, 1e-12)) for each in found) / len(found))


def _ahead(results: Results) -> str:
    lines = [f"* {run.title}, {line}" for run in results.runs for line in rivals_ahead(run)]
    if not lines:
        return "No rival wins at any budget."
    return "\n".join(["Where a rival wins:", "", *lines])


def _is_ours(each: MethodResult) -> bool:
    return each.method == POLICY
