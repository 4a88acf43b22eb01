"""Pictures of a run: quality-budget curves, step-frequency heat map, learning curve. PNG files, no display needed.

Shape suffixes: K budgets, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from recache_ray.errors import BadInputError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.frontier import LPIPS_FLOOR, FrontierRow
from recache_ray.evaluation.table import POLICY
from recache_ray.schedules import ScheduleTable
from recache_ray.tracking.jsonl import MetricsLine

_INK, _GRID = "#22303c", "#e3e7eb"
POLICY_COLOUR = "#c8321f"
OTHER_COLOURS = ("#2a78b5", "#2f9e6e", "#8a5fb0", "#b07c1e", "#4d5a66", "#bf5b92")
_POLICY_LOOK: dict[str, Any] = {"color": POLICY_COLOUR, "linewidth": 2.4, "marker": "o", "markersize": 5.5, "zorder": 3}
_ROUNDS = (("s", "-"), ("^", "--"), ("D", ":"))
"""Marker and dashes of the first methods, of those after the colours are used up, and of those after that."""
_BLUES = LinearSegmentedColormap.from_list("steps", ("#f4f7fa", "#9cc3e0", "#2a78b5", "#123a5c"))
_LEARNING_PANELS = {
    "Reward (higher is better)": "reward/mean",
    "LPIPS of sampled schedules": "reward/lpips/mean",
    "Policy entropy": "policy/entropy",
}
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.edgecolor": "#9aa5af",
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def rival_looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How to draw each rival's line, up to 18 without two alike: each round of colours has its dashes and marker."""
    looks: dict[str, dict[str, Any]] = {}
    for number, label in enumerate(sorted(set(labels))):
        turn, place = divmod(number, len(OTHER_COLOURS))
        marker, dashes = _ROUNDS[turn % len(_ROUNDS)]
        look = {"linewidth": 1.5, "markersize": 3.5, "zorder": 2, "marker": marker, "linestyle": dashes}
        looks[label] = {"color": OTHER_COLOURS[place], **look}
    return looks


def plot_frontier(rows: Iterable[FrontierRow], path: Path) -> Path:
    """Draw LPIPS with its 95% intervals (log scale) and PSNR against the budget, one line per method and mechanism.

    An exact row has no place on a log scale and is left out there.
    """
    listed = tuple(rows)
    lines: dict[tuple[str, str], list[FrontierRow]] = {}
    for row in listed:
        lines.setdefault((row.schedule, row.mechanism), []).append(row)
    several = len({row.mechanism for row in listed}) > 1
    labels = {line: f"{line[0]} · {line[1]}" if several else line[0] for line in lines}
    looks = rival_looks(label for line, label in labels.items() if line[0] != POLICY)

    def draw(figure: Figure) -> None:
        with_psnr = any(row.psnr is not None for row in listed)
        axes = figure.subplots(1, 2 if with_psnr else 1, squeeze=False)[0]
        for line, points in sorted(lines.items(), key=lambda item: item[0][0] == POLICY):
            points.sort(key=lambda row: row.budget)
            look = {"label": labels[line], **looks.get(labels[line], _POLICY_LOOK)}
            seen = [row for row in points if row.lpips >= LPIPS_FLOOR]
            budgets = [row.budget for row in seen]
            axes[0].plot(budgets, [row.lpips for row in seen], **look)
            low = [max(row.lpips_ci_low, row.lpips * 1e-3) for row in seen]
            high = [row.lpips_ci_high for row in seen]
            axes[0].fill_between(budgets, low, high, color=look["color"], alpha=0.13, linewidth=0)
            if with_psnr:
                measured = [row for row in points if row.psnr is not None]
                axes[1].plot([row.budget for row in measured], [row.psnr for row in measured], **look)
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes[0].yaxis.set_minor_formatter(FuncFormatter(_few_minor_labels))
        axes[0].set_title("LPIPS to the uncached result (lower is better)")
        axes[0].set_ylabel("LPIPS, log scale; bands: 95% over prompts")
        if with_psnr:
            axes[1].set_title("PSNR to the uncached result (higher is better)")
            axes[1].set_ylabel("dB")
        for axis in axes:
            _label_budgets(axis, listed)
        handles, names = axes[0].get_legend_handles_labels()
        order = sorted(range(len(names)), key=lambda i: not names[i].startswith(POLICY))
        figure.legend(
            [handles[i] for i in order],
            [names[i] for i in order],
            loc="outside lower center",
            ncols=min(5, len(order)),
        )

    return save_figure(path, (10.5, 4.6), draw)


def plot_step_frequency(
    table: ScheduleTable, path: Path, inclusion: Mapping[int, Sequence[float]] | None = None
) -> Path:
    """Draw which steps every budget computes and, beside it, how often the policy would include each step.

    Args:
        table: the chosen schedules.
        path: the PNG to write.
        inclusion: budget to the probability of each of the T steps; without it only the schedules are drawn.
    """
    budgets = table.budgets
    chosen_KT = np.array([table[budget].compute_mask for budget in budgets], dtype=np.float64)
    panels = [("Chosen schedules (dark: computed)", chosen_KT)]
    if inclusion is not None:
        panels.append(("Policy: probability that a step is computed", np.array([inclusion[k] for k in budgets])))

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axis, (title, shares_KT) in zip(axes, panels, strict=True):
            mesh = axis.pcolormesh(shares_KT, cmap=_BLUES, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
            axis.set(title=title, xlabel="denoising step")
            axis.grid(visible=False)
            axis.tick_params(length=0)
            every = max(1, -(-table.num_steps // 12))
            axis.set_xticks(np.arange(0, table.num_steps, every) + 0.5, range(0, table.num_steps, every))
        rows = range(0, len(budgets), max(1, -(-len(budgets) // 16)))
        axes[0].set_yticks([row + 0.5 for row in rows], [str(budgets[row]) for row in rows])
        axes[0].set_ylabel("budget k (computed steps)")
        if inclusion is not None:
            figure.colorbar(mesh, ax=axes[-1], fraction=0.04, pad=0.02).outline.set_visible(False)

    height = 1.6 + 0.27 * min(len(budgets), 26)
    return save_figure(path, (5.4 * len(panels), max(2.6, height)), draw)


def plot_learning_curve(lines: Iterable[MetricsLine], path: Path) -> Path:
    """Draw reward, LPIPS and entropy of the sampled schedules against the policy update, with a running mean.

    Args:
        lines: a ``metrics.jsonl``; metrics it does not hold get no panel.
        path: the PNG to write.

    Raises:
        BadInputError: if it holds none of them.
    """
    updates = [line for line in lines if not line.is_evaluation]
    series: dict[str, list[tuple[int, float]]] = {}
    for title, name in _LEARNING_PANELS.items():
        points = [(line.step, value) for line in updates if (value := line.metrics.get(name)) is not None]
        if points:
            series[title] = points
    if not series:
        raise BadInputError("learning curve: no policy update is recorded; train first")

    def draw(figure: Figure) -> None:
        for axis, (title, points) in zip(
            figure.subplots(1, len(series), squeeze=False)[0], series.items(), strict=True
        ):
            steps, values = np.array([p[0] for p in points]), np.array([p[1] for p in points], dtype=np.float64)
            axis.plot(steps, values, color=OTHER_COLOURS[0], linewidth=1, alpha=0.45)
            axis.plot(steps, _running_mean(values), color=POLICY_COLOUR, linewidth=2.2)
            axis.set(title=title, xlabel="policy update")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    return save_figure(path, (4.4 * len(series), 3.4), draw)


def _running_mean(values: np.ndarray) -> np.ndarray:
    width = max(1, len(values) // 8)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _few_minor_labels(value: float, _: int) -> str:
    digit = value / 10 ** np.floor(np.log10(value))
    return f"{value:g}" if round(digit) in (2, 5) else ""


def _label_budgets(axis: Axes, rows: Sequence[FrontierRow]) -> None:
    """Budgets below the axis and the FLOPs ratio each one gives above it."""
    ratios = {row.budget: row.flops_ratio for row in rows}
    budgets = sorted(ratios)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axis.set_xlabel(f"budget k (computed steps of {rows[0].num_steps})" if rows else "budget k")
    top = axis.secondary_xaxis("top")
    shown = budgets[:: max(1, -(-len(budgets) // 8))]
    top.set_xticks(shown, [f"{ratios[budget]:.1f}" for budget in shown])
    top.xaxis.set_minor_formatter(NullFormatter())
    top.set_xlabel("FLOPs of all steps / FLOPs at this budget", fontsize=8, color="#6b7780")
    top.tick_params(labelsize=8, colors="#6b7780", length=2)
    top.spines["top"].set_visible(False)


def save_figure(path: Path, size_inches: tuple[float, float], draw: Callable[[Figure], None]) -> Path:
    """Let ``draw`` fill a figure in the project's style and write it as PNG, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size_inches, layout="constrained")
        draw(figure)
        replace_atomically(path, lambda partial: figure.savefig(partial, dpi=150))
    return path
