"""Which steps are computed: a row a budget, a column a step, darker where more of the schedules compute it.

Shape suffixes: K budgets, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recache_ray.evaluation.report.inputs import Method, ReportInputs
from recache_ray.evaluation.report.svg import picture, tag, text

_LEVELS = 10
_WIDTH, _LEFT, _TOP, _BOTTOM = 360.0, 30.0, 6.0, 34.0


@dataclass(frozen=True, slots=True)
class StepMap:
    """A drawing with its title."""

    title: str
    svg: str


def step_maps(inputs: ReportInputs) -> tuple[StepMap, ...]:
    """The policy's schedules, its inclusion probabilities, then every other method, closest first."""
    policy, *others = inputs.methods
    maps = [
        StepMap(f"{inputs.label(policy)}: chosen schedules", draw_map(shares(inputs, policy), "chosen schedules")),
        StepMap(
            "policy: probability that a step is computed",
            draw_map(inputs.inclusion, "probability that the policy computes a step"),
        ),
    ]
    maps += [StepMap(inputs.label(method), draw_map(shares(inputs, method), inputs.label(method))) for method in others]
    return tuple(maps)


def shares(inputs: ReportInputs, method: Method) -> dict[int, list[float]]:
    """Budget to the share of the method's generations that compute each of the T steps."""
    found: dict[int, list[float]] = {}
    for (of, budget), samples in sorted(inputs.by_point.items()):
        if of == method:
            counts = [0] * inputs.table.num_steps
            for sample in samples:
                for step in sample.compute_steps:
                    counts[step] += 1
            found[budget] = [count / len(samples) for count in counts]
    return found


def draw_map(shares_KT: Mapping[int, Sequence[float]], label: str) -> str:
    """One drawing; cells of equal darkness are one path, so that a large map stays small."""
    budgets = sorted(shares_KT)
    num_steps = len(next(iter(shares_KT.values())))
    row_height = 18.0 if len(budgets) <= 12 else 13.0
    cell = (_WIDTH - _LEFT - 4) / num_steps
    gap = 1.0 if cell < 10 else 2.0
    paths: dict[int, list[str]] = {}
    marks = []
    for position, budget in enumerate(budgets):
        y = _TOP + position * row_height
        edge = tag("rect", x=_LEFT - 1, y=y, width=_WIDTH - _LEFT - 2, height=row_height, rx=2, cls="cursor-row")
        marks.append(edge.replace("<rect", f'<rect data-budget="{budget}"', 1))
        marks.append(text(_LEFT - 7, y + row_height / 2 + 4, str(budget), anchor="end"))
        for step, share in enumerate(shares_KT[budget]):
            level = round(min(max(share, 0.0), 1.0) * _LEVELS)
            box = f"M{_LEFT + step * cell:.1f},{y + 1:.1f}h{cell - gap:.1f}v{row_height - 2:.1f}h-{cell - gap:.1f}z"
            paths.setdefault(level, []).append(box)
    for level, boxes in sorted(paths.items()):
        if level:
            marks.append(tag("path", d="".join(boxes), cls="cell", fill_opacity=0.08 + 0.92 * level / _LEVELS))
        else:
            marks.append(tag("path", d="".join(boxes), cls="cell-empty"))
    bottom = _TOP + len(budgets) * row_height
    every = max(1, -(-num_steps // 12))
    marks += [text(_LEFT + (s + 0.5) * cell - gap / 2, bottom + 14, str(s)) for s in range(0, num_steps, every)]
    marks.append(text((_LEFT + _WIDTH) / 2, bottom + 29, "denoising step (rows: budget k)", "axis"))
    return picture(_WIDTH, bottom + _BOTTOM, f"{label}: steps computed at every budget", marks, "map")
