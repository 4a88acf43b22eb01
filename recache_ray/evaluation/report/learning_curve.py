"""How the run got there: small charts of what metrics.jsonl recorded, faint as logged and bold as a running mean."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.evaluation.report.scales import linear
from recache_ray.evaluation.report.svg import line, path, picture, tag, text

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 360.0, 190.0, 56.0, 10.0, 10.0, 40.0
_SERIES = (
    ("reward/mean", "Reward of sampled schedules", "policy update"),
    ("reward/lpips/mean", "LPIPS of sampled schedules", "policy update"),
    ("policy/entropy", "Policy entropy", "policy update"),
    ("rollout/forwards_saved", "Share of transformer forwards saved", "policy update"),
    ("polish/lpips", "LPIPS of the best schedules while polishing", "round"),
)


@dataclass(frozen=True, slots=True)
class LearningChart:
    """A drawing with its title."""

    title: str
    svg: str


def learning_charts(inputs: ReportInputs) -> tuple[LearningChart, ...]:
    """One chart for every recorded series of at least two points."""
    charts = []
    for key, title, unit in _SERIES:
        points = [
            (line_.step, value)
            for line_ in inputs.lines
            if not line_.is_evaluation and (value := line_.metrics.get(key)) is not None
        ]
        if len(points) > 1:
            charts.append(LearningChart(title, _draw(points, title, unit)))
    return tuple(charts)


def _draw(points: list[tuple[int, float]], title: str, unit: str) -> str:
    steps, values = [step for step, _ in points], [value for _, value in points]
    x_scale = linear(min(steps), max(steps), _LEFT, _WIDTH - _RIGHT)
    y_scale = linear(min(values), max(values), _HEIGHT - _BOTTOM, _TOP)
    marks = [line(_LEFT, y_scale(tick), _WIDTH - _RIGHT, y_scale(tick)) for tick in y_scale.ticks]
    marks += [text(_LEFT - 6, y_scale(tick) + 4, y_scale.text(tick), anchor="end") for tick in y_scale.ticks]
    whole = [tick for tick in x_scale.ticks if tick == round(tick)]
    marks += [text(x_scale(tick), _HEIGHT - _BOTTOM + 16, f"{tick:.0f}") for tick in whole]
    marks.append(text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, unit, "axis"))
    raw = [(x_scale(step), y_scale(value)) for step, value in points]
    smooth = [(x_scale(step), y_scale(value)) for step, value in zip(steps, running_mean(values), strict=True)]
    marks.append(tag("g", path(raw, "raw") + path(smooth, "curve"), cls="series s0"))
    return picture(_WIDTH, _HEIGHT, f"{title} over the {unit}", marks)


def running_mean(values: list[float]) -> list[float]:
    """Mean of the last eighth of the values up to each one."""
    width = max(1, len(values) // 8)
    return [sum(values[max(0, i - width + 1) : i + 1]) / min(width, i + 1) for i in range(len(values))]
