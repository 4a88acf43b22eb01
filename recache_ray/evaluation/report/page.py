"""The page itself: everything put into the template, with nothing left to load."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from recache_ray.evaluation.report.curves import cls_name, draw_curves, style
from recache_ray.evaluation.report.facts import cost_facts, cost_lines, duration, origin_facts
from recache_ray.evaluation.report.findings import change, find
from recache_ray.evaluation.report.gallery import ERROR_GAIN, examples
from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.evaluation.report.learning_curve import learning_charts
from recache_ray.evaluation.report.measures import curve, measured
from recache_ray.evaluation.report.step_map import step_maps

_WIDE, _NARROW = (760.0, 400.0), (360.0, 330.0)


def render_page(inputs: ReportInputs) -> str:
    """The HTML of the report. It asks for nothing over the network and works without scripts, at one budget."""
    measures = measured(inputs)
    points = {m.key: {method: curve(inputs, method, m) for method in inputs.methods} for m in measures}
    names = [(m, inputs.label(m), cls_name(inputs.label(m)), style(i)) for i, m in enumerate(inputs.methods)]
    budget = inputs.budgets[(len(inputs.budgets) - 1) // 2]
    shown = examples(inputs.pictures, inputs.budgets)
    return _template().render(
        inputs=inputs,
        findings=find(inputs),
        change=change,
        methods=names,
        measures=measures,
        points=points,
        charts={
            m.key: [
                Markup(draw_curves(inputs, m, points[m.key], *_WIDE, "wide")),
                Markup(draw_curves(inputs, m, points[m.key], *_NARROW, "narrow")),
            ]
            for m in measures
        },
        maps=[(each.title, Markup(each.svg)) for each in step_maps(inputs)],
        learning=[(each.title, Markup(each.svg)) for each in learning_charts(inputs)],
        examples=shown,
        film=max((example.num_frames for example in shown if example.num_frames > 1), default=0),
        error_gain=ERROR_GAIN,
        cost=cost_facts(inputs),
        searches=cost_lines(inputs),
        duration=duration,
        origin=origin_facts(inputs),
        budget=budget,
        style_sheet=Markup(_asset("page.css")),
        script=Markup(_asset("page.js")),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    return environment.from_string(_asset("page.html"))


def _asset(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
