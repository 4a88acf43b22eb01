"""Carried schedules against those trained there: a table, a sentence per T' and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich import box
from rich.table import Table

from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.frontier import LPIPS_FLOOR
from recache_ray.evaluation.paired import RatioInterval
from recache_ray.evaluation.transfer import CARRIED, TRAINED, Transfer, TransferRow

_COLOURS = {CARRIED: "#c8321f", TRAINED: "#2a78b5", "best uniform": "#4d5a66"}


def transfer_table(found: Sequence[Transfer]) -> Table:
    """A line per T' and budget: LPIPS of each, and the paired ratios of the carried schedule to the others."""
    table = Table(
        title="LPIPS to the uncached result, lower is better; ratios are carried over the other, 95% paired interval",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for header in ("budget", "carried", "trained", "ratio to trained", "best uniform", "ratio to uniform"):
        table.add_column(header, justify="right", no_wrap=True)
    for each in found:
        for row in (row for row in each.rows if row.schedule == CARRIED):
            trained, uniform = each.row(TRAINED, row.budget), each.best_uniform[row.budget]
            table.add_row(
                f"{row.budget}/{row.num_steps}",
                f"{row.lpips:#.3g}",
                f"{trained.lpips:#.3g}" if trained else "",
                _spread(trained) if trained else "",
                f"{uniform.lpips:#.3g}",
                _spread(uniform),
            )
    return table


def transfer_verdict(found: Sequence[Transfer]) -> str:
    """A line per T': the geometric means over budgets."""
    return "\n".join(_sentence(each) for each in found)


def plot_transfer(found: Sequence[Transfer], path: Path) -> Path:
    """Draw LPIPS against the budget, a panel per T'; exact rows have no place on the log scale and are left out."""
    figure = Figure(figsize=(4.4 * len(found), 3.8), layout="constrained")
    with matplotlib.rc_context({"font.size": 10, "axes.grid": True, "grid.color": "#e3e7eb", "axes.axisbelow": True}):
        axes = figure.subplots(1, len(found), squeeze=False)[0]
        for axis, each in zip(axes, found, strict=True):
            for label, rows in _curves(each).items():
                seen = sorted((row for row in rows if row.lpips >= LPIPS_FLOOR), key=lambda row: row.budget)
                budgets = [row.budget for row in seen]
                axis.plot(budgets, [row.lpips for row in seen], marker="o", label=label, color=_COLOURS[label])
                low = [max(row.lpips_ci_low, row.lpips * 1e-3) for row in seen]
                high = [row.lpips_ci_high for row in seen]
                axis.fill_between(budgets, low, high, color=_COLOURS[label], alpha=0.13, linewidth=0)
            row = each.rows[0]
            axis.set(yscale="log", xlabel=f"budget k (computed steps of {row.num_steps})", ylabel="LPIPS, log scale")
            axis.set_title(f"T = {row.from_num_steps} carried to {row.num_steps}")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, lambda partial: figure.savefig(partial, dpi=150))
    return path


def _curves(found: Transfer) -> dict[str, list[TransferRow]]:
    curves = {name: [row for row in found.rows if row.schedule == name] for name in (CARRIED, TRAINED)}
    curves["best uniform"] = list(found.best_uniform.values())
    return {name: rows for name, rows in curves.items() if rows}


def _spread(row: TransferRow) -> str:
    return f"{row.ratio:.3f} ({row.ratio_ci_low:.3f} - {row.ratio_ci_high:.3f})"


def _sentence(found: Transfer) -> str:
    row = found.rows[0]
    parts = []
    if found.to_trained is not None:
        parts.append(f"{_words(found.to_trained)} times the LPIPS of schedules trained at {row.num_steps}")
    parts.append(f"{_words(found.to_uniform)} times that of the best uniform ones")
    prompts = found.to_uniform.num_prompts
    return f"T = {row.from_num_steps} carried to {row.num_steps}, {prompts} prompts: {', '.join(parts)}."


def _words(interval: RatioInterval) -> str:
    return f"{interval.ratio:.3f} ({interval.low:.3f} to {interval.high:.3f})"
