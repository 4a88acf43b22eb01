"""Results as a page of Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from recache_ray.evaluation.results.equal_flops import at_equal_flops, spends_more
from recache_ray.evaluation.results.ranking import agreement, ranks, standings
from recache_ray.evaluation.results.records import MethodResult, Point, Results, RunResult
from recache_ray.evaluation.table import POLICY

# LPIPS this close are of the same schedule, measured in batches of another size at most
_LEVEL = 1e-4


def render_markdown(results: Results, picture: str) -> str:
    """Tables, what rivals win, ranking and provenance; ``picture`` is the path of the frontier's picture."""
    parts = [
        "LPIPS to the uncached pictures on held-out prompts, lower is better. *Ours / it* is the ratio of mean LPIPS "
        "on the same prompts, geometric mean over budgets with its paired 95% interval; of every family its best "
        "member is shown, chosen on these very prompts, which favours it, as does that a rival which spends more FLOPs "
        "at a budget is compared at that budget. *Typical prompt*, where given, is the same ratio of geometric means "
        "over prompts, in which every prompt counts alike; a few hard prompts decide a mean. *Forwards* are those of "
        "the transformer, run to find the schedules of all budgets.",
        f"![LPIPS over measured FLOPs ratio, ours bold]({picture})",
    ]
    for run in results.runs:
        parts += [f"**{run.title}** ({run.model}, {run.num_prompts} prompts)", _families(run), _wins(run)]
        parts += _equal_flops(run)
    parts.append("**Ranking.** LPIPS relative to evenly spaced schedules, geometric mean over budgets (place).")
    parts.append(_ranking(results))
    parts += agreement(results.runs)
    parts.append("Provenance, tables and picture by `" + results.command + "`:")
    parts.append(
        "\n".join(
            f"* {run.title}: {run.date}, {run.machine}, commit {run.commit}, `{run.command}`" for run in results.runs
        )
    )
    return "\n\n".join(parts) + "\n"


def best_of_families(run: RunResult) -> tuple[MethodResult, ...]:
    """Of every family of rivals the method that comes closest to ours or is furthest ahead; strongest family first."""
    best: dict[str, MethodResult] = {}
    for each in run.methods:
        if each.method != POLICY and (each.family not in best or each.ratio > best[each.family].ratio):
            best[each.family] = each
    return tuple(sorted(best.values(), key=lambda each: -each.ratio))


def _families(run: RunResult) -> str:
    (policy,) = [each for each in run.methods if each.method == POLICY]
    typical = policy.typical is not None
    header = (
        "family",
        "best of it",
        "budgets",
        "ours / it",
        "95% interval",
        *(["typical prompt"] if typical else []),
        "it wins at",
        "forwards",
    )
    rows = [("**ours**", "", budgets_text(policy.points), "", "", *([""] if typical else []), "", _forwards(policy))]
    for each in best_of_families(run):
        won = [str(point.budget) for point in each.points if wins_at(point)]
        rows.append(
            (
                each.family,
                each.method,
                budgets_text(each.points),
                f"{each.ratio:.2f}",
                f"{each.low:.2f} to {each.high:.2f}",
                *([f"{each.typical:.2f}"] if typical else []),
                ", ".join(won) or "none",
                _forwards(each),
            )
        )
    return markdown_table(header, rows)


def _wins(run: RunResult) -> str:
    """Every rival that is ahead of ours at a budget, whichever its family; what is level is named too."""
    lines = []
    ahead = [(p, each.method) for each in run.methods for p in each.points if each.method != POLICY and wins_at(p)]
    ours = {point.budget: point for each in run.methods if each.method == POLICY for point in each.points}
    for point, method in sorted(ahead, key=lambda pair: (pair[0].budget, -pair[0].ratio)):
        own = ours[point.budget]
        more = f", for {own.flops_ratio / point.flops_ratio:.2f} times our FLOPs" if spends_more(point, own) else ""
        sure = "" if point.low > 1 else ", undecided"
        lines.append(
            f"* budget {point.budget}: {method} {point.lpips:#.3g} against our {own.lpips:#.3g} "
            f"(ratio {point.ratio:.2f}, {point.low:.2f} to {point.high:.2f}{sure}{more})"
        )
    level = [
        f"{each.method} at {point.budget}"
        for each in run.methods
        for point in each.points
        if each.method != POLICY and abs(point.ratio - 1) <= _LEVEL
    ]
    head = "Where a rival wins:" if lines else "No rival wins at any budget."
    text = "\n".join([head, "", *lines]) if lines else head
    return f"{text}\n\nLevel: {', '.join(level)}." if level else text


def _equal_flops(run: RunResult) -> list[str]:
    """How ours stands to the rivals that spend more FLOPs at a budget, where it spends as many; nothing without any."""
    (policy,) = [each for each in run.methods if each.method == POLICY]
    compared = [at_equal_flops(policy, each) for each in run.methods if each.method != POLICY]
    found = [each for each in compared if each is not None]
    rows = []
    for each in sorted(found, key=lambda each: -each.mean if each.ratios else math.inf):
        worst = max(each.ratios, key=lambda budget: each.ratios[budget], default=None)
        rows.append(
            (
                each.method,
                f"{len(each.ratios)} of {len(each.ratios) + len(each.beyond)}",
                f"{each.mean:.2g}" if worst is not None else "",
                f"{each.ratios[worst]:.2f} at {worst}" if worst is not None else "",
            )
        )
    if not rows:
        return []
    return [
        "**At equal FLOPs.** The same rivals that spend more than ours at a budget, against our curve at the FLOPs "
        "measured of them (log-linear between our budgets; their budgets that fall on it):",
        markdown_table(("rival", "on our curve", "ours / it", "highest, at its budget"), rows),
    ]


def wins_at(point: Point) -> bool:
    """Whether the mean LPIPS is below ours by more than batches of another size make."""
    return point.ratio > 1 + _LEVEL


def _ranking(results: Results) -> str:
    standing = [standings(run) for run in results.runs]
    methods = list(dict.fromkeys(method for each in standing for method in each))
    places = [ranks(each, list(each)) for each in standing]
    rows = [
        (
            f"**{method}**" if method == POLICY else method,
            *(f"{s[method]:.3f} ({p[method]})" if method in s else "" for s, p in zip(standing, places, strict=True)),
        )
        for method in methods
    ]
    return markdown_table(("method", *(run.title for run in results.runs)), rows)


def budgets_text(points: Sequence[Point]) -> str:
    """Example: ``5 to 25``, or ``14, 20``."""
    budgets = [point.budget for point in points]
    whole = budgets == list(range(budgets[0], budgets[-1] + 1)) and len(budgets) > 1
    return f"{budgets[0]} to {budgets[-1]}" if whole else ", ".join(map(str, budgets))


def _forwards(each: MethodResult) -> str:
    if each.forwards is not None:
        return f"{each.forwards:,}"
    return "0" if each.family in ("uniform", "random") else "not recorded"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells without bars."""

    def lines() -> Iterator[str]:
        for row in (header, ["---"] * len(header), *rows):
            yield "| " + " | ".join(row) + " |"

    return "\n".join(lines())
