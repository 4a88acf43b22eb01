"""The frontier of published results as a picture: LPIPS over the measured FLOPs ratio, a panel per mechanism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from recache_ray.evaluation.frontier import LPIPS_FLOOR
from recache_ray.evaluation.plots import OTHER_COLOURS, POLICY_COLOUR, save_figure
from recache_ray.evaluation.results.records import MethodResult, Results, RunResult
from recache_ray.evaluation.results.render import best_of_families
from recache_ray.evaluation.table import POLICY

_FAINT = "#b9c2c9"
_COLUMNS = 3


def plot_results(results: Results, path: Path) -> Path:
    """Draw ours bold, the best rival of every family in colour and the others faint; the first seed of a mechanism.

    An exact point has no place on the log scale and is left out.
    """
    panels = list({(run.mechanism, run.num_steps): run for run in reversed(results.runs)}.values())[::-1]
    families = sorted({each.family for run in panels for each in run.methods} - {"ours"})
    colours = dict(zip(families, OTHER_COLOURS * 2, strict=False))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False)
        axes = [axis for line in grid for axis in line]
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis, run in zip(axes, panels, strict=False):
            shown = {each.method for each in best_of_families(run)}
            for each in sorted(run.methods, key=lambda each: (each.method == POLICY, each.method in shown)):
                axis.plot(*_curve(each), **_look(each, each.method in shown, colours))
            _dress(axis, run)
            axis.legend(*_ordered(axis), fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))

    return save_figure(path, (max(6.4, 4.6 * columns), 5.0 * rows), draw)


def _curve(each: MethodResult) -> tuple[list[float], list[float]]:
    points = sorted((point.flops_ratio, point.lpips) for point in each.points if point.lpips >= LPIPS_FLOOR)
    return [x for x, _ in points], [y for _, y in points]


def _look(each: MethodResult, shown: bool, colours: dict[str, str]) -> dict[str, Any]:
    if each.method == POLICY:
        return {"color": POLICY_COLOUR, "linewidth": 3.2, "marker": "o", "markersize": 6, "zorder": 4, "label": "ours"}
    if shown:
        label = f"{each.method} (best {each.family})"
        return {"color": colours[each.family], "linewidth": 1.5, "marker": "s", "markersize": 3.5, "label": label}
    return {"color": _FAINT, "linewidth": 0.9, "marker": ".", "markersize": 3, "zorder": 1, "label": "other rivals"}


def _dress(axis: Axes, run: RunResult) -> None:
    axis.set(title=run.title, xlabel="FLOPs of all steps / of the method and its probes", ylabel="LPIPS, log scale")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"÷{value:g}"))


def _ordered(axis: Axes) -> tuple[list[Any], list[str]]:
    """Ours first in the legend, every label once."""
    handles, labels = axis.get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    order = sorted(found, key=lambda label: (label != "ours", label == "other rivals", label))
    return [found[label] for label in order], order
