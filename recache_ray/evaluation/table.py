"""The table a training ends with: policy against the best uniform schedule, budget by budget."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from recache_ray.evaluation.frontier import LPIPS_FLOOR, FrontierRow

POLICY = "policy"
_RIVALS = "uniform"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The policy's row of one budget and mechanism, and the best row among the uniform variants."""

    policy: FrontierRow
    uniform: FrontierRow

    @property
    def ratio(self) -> float:
        """Policy LPIPS over uniform LPIPS; below 1 is better, 1 where both are exact."""
        if self.uniform.lpips < LPIPS_FLOOR:
            return 1.0 if self.policy.lpips < LPIPS_FLOOR else math.inf
        return self.policy.lpips / self.uniform.lpips


def compare(rows: Iterable[FrontierRow]) -> tuple[Comparison, ...]:
    """Pair every policy row with the lowest-LPIPS uniform variant of its mechanism and budget, where there is one."""
    listed = tuple(rows)
    pairs = []
    for row in listed:
        if row.schedule != POLICY:
            continue
        rivals = [
            rival
            for rival in listed
            if rival.schedule.startswith(_RIVALS) and (rival.mechanism, rival.budget) == (row.mechanism, row.budget)
        ]
        if rivals:
            pairs.append(Comparison(row, min(rivals, key=lambda rival: rival.lpips)))
    return tuple(pairs)


def frontier_table(rows: Iterable[FrontierRow]) -> Table:
    """Lay out budget, FLOPs ratio, policy LPIPS with its interval, best uniform LPIPS and which one, and the ratio."""
    pairs = compare(rows)
    table = Table(
        title=_title(pairs),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    several = len({pair.policy.mechanism for pair in pairs}) > 1
    if several:
        table.add_column("mechanism", no_wrap=True)
    for header in ("budget", "FLOPs", "policy", "95% interval", "best uniform"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("variant", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    for pair in pairs:
        row, ratio = pair.policy, pair.ratio
        table.add_row(
            *([row.mechanism] if several else []),
            f"{row.budget}/{row.num_steps}",
            f"÷{row.flops_ratio:.2f}",
            f"{row.lpips:#.3g}",
            f"{row.lpips_ci_low:#.3g} - {row.lpips_ci_high:#.3g}",
            f"{pair.uniform.lpips:#.3g}",
            pair.uniform.schedule,
            Text(f"{ratio:.3f}", style="green" if ratio < 1 else "red" if ratio > 1 else ""),
        )
    return table


def verdict(rows: Iterable[FrontierRow]) -> str:
    """One line that says at how many budgets the policy is below the best uniform schedule, and by how much."""
    pairs = compare(rows)
    if not pairs:
        return "No uniform baseline was evaluated, so there is nothing to compare the policy with."
    below = [pair for pair in pairs if pair.ratio < 1]
    level = [pair for pair in pairs if pair.ratio == 1]
    above = [pair for pair in pairs if pair.ratio > 1]
    parts = [f"policy below the best uniform schedule at {len(below)} of {len(pairs)} budgets"]
    ratios = [pair.ratio for pair in pairs if 0 < pair.ratio < math.inf]
    if ratios:
        change = 1 - math.exp(sum(map(math.log, ratios)) / len(ratios))
        parts.append(f"LPIPS {abs(change):.0%} {'lower' if change >= 0 else 'higher'} on geometric mean")
    for label, group in (("level at", level), ("behind at", above)):
        if group:
            noun = "budget" if len(group) == 1 else "budgets"
            parts.append(f"{label} {noun} {', '.join(_name(pair, pairs) for pair in group)}")
    sentence = "; ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def _title(pairs: tuple[Comparison, ...]) -> str:
    samples = f", {pairs[0].policy.num_samples} generations a row" if pairs else ""
    return f"LPIPS to the uncached result, lower is better{samples}"


def _name(pair: Comparison, pairs: tuple[Comparison, ...]) -> str:
    several = len({other.policy.mechanism for other in pairs}) > 1
    return f"{pair.policy.budget} ({pair.policy.mechanism})" if several else str(pair.policy.budget)
