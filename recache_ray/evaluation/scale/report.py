"""The figures of ``bench scale`` as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from rich import box
from rich.table import Table

from recache_ray.evaluation.plots import OTHER_COLOURS, POLICY_COLOUR, save_figure
from recache_ray.evaluation.scale.figures import TARGET_CORE, TARGET_EFFICIENCY, LearnerLoad, ScalePoint
from recache_ray.evaluation.scale.load import SimulatedLoad


def scale_table(points: Sequence[ScalePoint]) -> Table:
    """One row per number of actors, for a terminal."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in (
        "actors",
        "played by",
        "groups/s",
        "efficiency",
        "core",
        "ms/group",
        "in pool",
        "learning",
        "sent",
        "received",
        "lag mean/50/95/max",
        "dropped",
        "lost",
        "late ms",
    ):
        table.add_column(column, justify="left" if column == "played by" else "right")
    for point in points:
        table.add_row(
            str(point.actors),
            "one process" if point.shared else f"{point.actors} processes",
            f"{point.groups_per_s:.2f}",
            f"{point.efficiency:.1%}",
            f"{point.core_share:.1%}",
            f"{point.group_ms:.2f}",
            f"{point.pool_ms:.2f}",
            f"{point.learner_ms:.2f}",
            f"{point.sent_bytes / 1000:.1f} kB",
            f"{point.received_bytes / 1000:.1f} kB",
            f"{point.lag_mean:.1f}/{point.lag_p50}/{point.lag_p95}/{point.lag_max}",
            str(point.dropped),
            str(point.lost),
            f"{point.late_ms:.1f}",
        )
    return table


def plot_scale(points: Sequence[ScalePoint], fit: LearnerLoad, load: SimulatedLoad, path: Path) -> Path:
    """Draw efficiency and the learner's CPU over the number of actors; the latter extrapolated to a whole core."""
    return save_figure(path, (10.0, 4.0), lambda figure: _draw(figure, points, fit, load))


def _draw(figure: Figure, points: Sequence[ScalePoint], fit: LearnerLoad, load: SimulatedLoad) -> None:
    left, right = figure.subplots(1, 2)
    for shared, marker, colour, label in (
        (False, "s", OTHER_COLOURS[1], "each actor a process"),
        (True, "o", POLICY_COLOUR, "all actors in one process"),
    ):
        chosen = [point for point in points if point.shared == shared]
        numbers = [point.actors for point in chosen]
        style = {"marker": marker, "color": colour, "label": label, "linewidth": 1.5}
        left.plot(numbers, [100 * point.efficiency for point in chosen], **style)
        right.plot(numbers, [100 * point.core_share for point in chosen], **{**style, "linestyle": "none"})
    limit = fit.saturates_at(load)
    first = min(point.actors for point in points)
    numbers = [first * (limit / first) ** (step / 60) for step in range(61)]
    line = [100 * (fit.idle_share + fit.group_s * number / load.ideal_task_s) for number in numbers]
    right.plot(
        numbers, line, color=OTHER_COLOURS[4], linewidth=1, zorder=1, label=f"straight line, one core at {limit:,.0f}"
    )
    left.axhline(100 * TARGET_EFFICIENCY, color=OTHER_COLOURS[4], linestyle=":", linewidth=1)
    right.axhline(100 * TARGET_CORE, color=OTHER_COLOURS[4], linestyle=":", linewidth=1)
    left.set_ylim(min(90, *(100 * point.efficiency - 1 for point in points)), 101)
    left.set_title("Finished work, % of the ideal (target dotted)")
    right.set_title("CPU of the learner's process, % of one core")
    right.set_yscale("log")
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"simulated rollout actors, tasks of {load.mean_s:g} s")
        axes.legend()
