"""The quality-budget curves: one line a method, its 95% interval as a band, over the steps computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from recache_ray.evaluation.report.inputs import Method, ReportInputs
from recache_ray.evaluation.report.measures import Measure, Point
from recache_ray.evaluation.report.scales import Scale, linear
from recache_ray.evaluation.report.svg import line, path, picture, tag, text

NUM_STYLES = 8
_LEFT, _RIGHT, _TOP, _BOTTOM, _TICK_GAP = 56.0, 14.0, 14.0, 62.0, 34.0


def style(position: int) -> str:
    """Classes of the position's colour and dashes, and of hollow dots once these come again; the policy is 0."""
    if position == 0:
        return "s0"
    turn, place = divmod(position - 1, NUM_STYLES - 1)
    return f"s{1 + place}" + (" again" if turn % 2 else "")


def draw_curves(
    inputs: ReportInputs,
    measure: Measure,
    points: Mapping[Method, Sequence[Point]],
    width: float,
    height: float,
    cls: str = "",
) -> str:
    """One chart of all methods. Where every budget has a label and a cursor, the page can mark one of them."""
    listed = [point for of in points.values() for point in of]
    x_scale = linear(
        min(point.computed_steps for point in listed) - 0.35,
        max(point.computed_steps for point in listed) + 0.35,
        _LEFT,
        width - _RIGHT,
    )
    y_scale = _vertical(measure, listed, height)
    floor = height - _BOTTOM
    marks = [line(_LEFT, y_scale(tick), width - _RIGHT, y_scale(tick)) for tick in y_scale.ticks]
    marks += [text(_LEFT - 8, y_scale(t) + 4, y_scale.text(t), anchor="end") for t in y_scale.ticks]
    marks += _budget_axis(inputs, x_scale, floor)
    marks.append(text((_LEFT + width - _RIGHT) / 2, height - 6, "computed steps k; below: times fewer FLOPs", "axis"))
    for k in inputs.budgets:
        mark = line(x_scale(k), _TOP, x_scale(k), floor, "cursor")
        marks.append(mark.replace("<line", f'<line data-budget="{k}"', 1))
    for position, method in reversed(list(enumerate(inputs.methods))):
        marks.append(_series(inputs.label(method), style(position), points[method], measure, x_scale, y_scale))
    label = f"{measure.name} ({measure.direction}) of every method over the number of computed steps"
    return picture(width, height, label, marks, cls)


def _series(label: str, cls: str, points: Sequence[Point], measure: Measure, x_scale: Scale, y_scale: Scale) -> str:
    def at(point: Point, value: float) -> tuple[float, float]:
        return x_scale(point.computed_steps), y_scale(measure.limit(value))

    marks = []
    if len(points) > 1:
        upper, lower = [at(p, p.high) for p in points], [at(p, p.low) for p in reversed(points)]
        marks = [path([*upper, *lower], "band", closed=True), path([at(p, p.mean) for p in points], "curve")]
    for point in points:
        mean, low, high = (format(value, measure.shown) for value in (point.mean, point.low, point.high))
        says = f"{label}, k = {point.budget}: {mean} (95%: {low} to {high})"
        x, y = at(point, point.mean)
        marks.append(tag("circle", f"<title>{escape(says)}</title>", cx=x, cy=y, r=4, cls="dot"))
    return tag("g", "".join(marks), cls=f"series {cls}", data_series=cls_name(label))


def cls_name(label: str) -> str:
    """The label as a token for ``data-series``."""
    return "".join(c if c.isalnum() else "-" for c in label)


def _vertical(measure: Measure, points: Sequence[Point], height: float) -> Scale:
    means = [measure.limit(p.mean) for p in points]
    ends = [measure.limit(value) for p in points for value in (p.low, p.high)]
    spread = (max(means) - min(means)) or abs(means[0]) or 1.0
    low, high = min(ends), max(ends)
    if measure.key == "lpips":
        low, high = max(low, min(means) / 3), high * 1.05
    else:
        low, high = max(low, min(means) - spread / 2), measure.limit(min(high, max(means) + spread / 2))
    return measure.scale(low, high, height - _BOTTOM, _TOP)


def _budget_axis(inputs: ReportInputs, x_scale: Scale, floor: float) -> list[str]:
    """Labels as dense as fit: the budget, and under it how many times fewer FLOPs it takes."""
    marks = [line(x_scale.start, floor, x_scale.end, floor, "base")]
    last = -1e9
    for k in inputs.budgets:
        row = inputs.row(inputs.methods[0], k)
        if x_scale(k) - last >= _TICK_GAP and row is not None:
            last = x_scale(k)
            marks.append(text(last, floor + 17, str(k)))
            marks.append(text(last, floor + 32, f"÷{row.flops_ratio:.1f}", "tick faint"))
    return marks
