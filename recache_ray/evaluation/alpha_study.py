"""What the weight of the quality term buys: LPIPS and quality of policies trained with different weights (Figure 3)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from recache_ray.errors import BadInputError
from recache_ray.evaluation.plots import OTHER_COLOURS, save_figure

QUALITY_ONLY = math.inf
"""The weight that stands for a reward without fidelity."""


@dataclass(frozen=True, slots=True)
class AlphaPoint:
    """One policy's schedule at one budget, measured on held-out prompts.

    Attributes:
        alpha: weight of the quality term it was trained with; infinite for quality alone.
        budget: computed steps.
        lpips: mean distance to the uncached reference; lower is better.
        quality: mean score of the quality model; higher is better.
        quality_reference: the same of the references.
        num_samples: generations behind the means.
        schedule: its computed steps.
    """

    alpha: float
    budget: int
    lpips: float
    quality: float
    quality_reference: float
    num_samples: int
    schedule: tuple[int, ...]

    @property
    def label(self) -> str:
        """The weight as a reader would write it."""
        return alpha_label(self.alpha)


def alpha_label(alpha: float) -> str:
    """The weight as text: ``7`` or ``quality only``."""
    return "quality only" if math.isinf(alpha) else f"{alpha:g}"


def write_points(points: Sequence[AlphaPoint], facts: Mapping[str, object], path: Path) -> Path:
    """Write the study as JSON; the weight of quality alone is null."""
    rows = [{**asdict(point), "alpha": None if math.isinf(point.alpha) else point.alpha} for point in points]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"provenance": dict(facts), "points": rows}, indent=2) + "\n", encoding="utf-8")
    return path


def read_points(path: Path) -> tuple[AlphaPoint, ...]:
    """Read back what :func:`write_points` wrote.

    Raises:
        BadInputError: if the file is missing or damaged.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["points"]
        return tuple(
            AlphaPoint(
                **{
                    **row,
                    "alpha": QUALITY_ONLY if row["alpha"] is None else row["alpha"],
                    "schedule": tuple(row["schedule"]),
                }
            )
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path}: cannot be read as a study of alpha ({error}); run recache bench alpha") from error


def alpha_table(points: Iterable[AlphaPoint]) -> Table:
    """LPIPS and quality per weight and budget; the quality column shows the difference to the references."""
    listed = tuple(points)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("alpha", no_wrap=True)
    for header in ("budget", "LPIPS", "quality", "to references", "samples"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("schedule")
    for point in listed:
        table.add_row(
            point.label,
            str(point.budget),
            f"{point.lpips:.4f}",
            f"{point.quality:.4f}",
            f"{point.quality - point.quality_reference:+.4f}",
            str(point.num_samples),
            ", ".join(map(str, point.schedule)),
        )
    return table


def plot_alpha(points: Iterable[AlphaPoint], path: Path) -> Path:
    """Draw what each weight pays in LPIPS and gains in quality against the smallest one, one line per budget.

    Differences, since those between budgets are far larger and would hide what the weight does.
    """
    listed = tuple(points)
    alphas = sorted({point.alpha for point in listed})
    places = range(len(alphas))
    lines = {
        budget: {point.alpha: point for point in listed if point.budget == budget}
        for budget in sorted({point.budget for point in listed})
    }

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for number, (budget, by_alpha) in enumerate(lines.items()):
            seen = [(place, by_alpha[alpha]) for place, alpha in zip(places, alphas, strict=True) if alpha in by_alpha]
            look = {
                "color": OTHER_COLOURS[number % len(OTHER_COLOURS)],
                "marker": "o",
                "linewidth": 2,
                "label": f"budget {budget}",
            }
            _, first = seen[0]
            left.plot([place for place, _ in seen], [point.lpips - first.lpips for _, point in seen], **look)
            right.plot([place for place, _ in seen], [point.quality - first.quality for _, point in seen], **look)
        left.set_title(f"LPIPS paid, against alpha = {alpha_label(alphas[0])}")
        right.set_title(f"Quality model's score gained, against alpha = {alpha_label(alphas[0])}")
        for axis in (left, right):
            axis.set_xticks(list(places), [alpha_label(alpha) for alpha in alphas])
            axis.set_xlabel("alpha, weight of the quality term in training")
            axis.axhline(0, color="#6b7780", linewidth=1)
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))

    return save_figure(path, (10.5, 4.2), draw)
