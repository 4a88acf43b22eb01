import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from recache_ray.evaluation.report.curves import draw_curves, style
from recache_ray.evaluation.report.gallery import error_map, examples
from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.evaluation.report.learning_curve import learning_charts, running_mean
from recache_ray.evaluation.report.measures import MEASURES, curve, measured
from recache_ray.evaluation.report.step_map import draw_map, shares, step_maps


def test_a_curve_has_the_frontiers_means_and_every_mark_lies_in_the_picture(inputs: ReportInputs) -> None:
    assert [measure.key for measure in measured(inputs)] == ["lpips", "psnr", "ssim"]
    for measure in measured(inputs):
        points = {method: curve(inputs, method, measure) for method in inputs.methods}
        for method, listed in points.items():
            for point in listed:
                row = inputs.row(method, point.budget)
                assert row and abs(getattr(row, measure.key) - point.mean) < 1e-9
                assert point.low <= point.mean <= point.high
        root = ElementTree.fromstring(draw_curves(inputs, measure, points, 760.0, 400.0))
        dots = [dot for dot in root.iter("circle") if dot.get("class") == "dot"]
        assert len(dots) == sum(map(len, points.values()))
        assert all(56 <= float(dot.get("cx", "")) <= 760 and 0 <= float(dot.get("cy", "")) <= 340 for dot in dots)
        assert "policy, k = 4: " in (dots[-4].findtext("title") or "")  # the policy is drawn last, on top


def test_lower_lpips_is_drawn_lower_and_higher_ssim_higher(inputs: ReportInputs) -> None:
    for measure in (MEASURES[0], MEASURES[2]):
        points = {method: curve(inputs, method, measure) for method in inputs.methods}
        root = ElementTree.fromstring(draw_curves(inputs, measure, points, 360.0, 330.0))
        series = next(g for g in root.iter("g") if g.get("data-series") == "policy")
        heights = [float(dot.get("cy", "")) for dot in series.iter("circle")]
        values = [point.mean for point in points[inputs.methods[0]]]
        assert np.argsort(heights).tolist() == np.argsort(values)[::-1].tolist()


def test_styles_never_give_a_rival_the_policys() -> None:
    assert style(0) == "s0" and len({style(i) for i in range(15)}) == 15
    assert "s0" not in {style(i) for i in range(1, 40)}


def test_a_map_draws_each_cell_once_and_darker_for_larger_shares() -> None:
    root = ElementTree.fromstring(draw_map({2: [1.0, 0.0, 0.5, 0.5], 3: [1.0, 1.0, 0.0, 0.52]}, "x"))
    cells = {p.get("fill-opacity"): len(re.findall("M", p.get("d", ""))) for p in root.iter("path")}
    assert cells == {None: 2, "0.54": 3, "1": 3}
    assert {rect.get("data-budget") for rect in root.iter("rect")} == {"2", "3"}


def test_shares_count_the_computed_steps(inputs: ReportInputs) -> None:
    for method in inputs.methods:
        for budget, row in shares(inputs, method).items():
            assert abs(sum(row) - budget) < 1e-9 and row[0] == 1.0
    titles = [each.title for each in step_maps(inputs)]
    assert titles[:2] == ["policy: chosen schedules", "policy: probability that a step is computed"]
    assert len(titles) == 2 + 4


def test_error_maps_are_black_where_equal_and_brightest_from_an_eighth_on() -> None:
    reference = np.zeros((2, 2, 3), np.uint8)
    picture = reference.copy()
    picture[0, 0, 1], picture[0, 1, 2], picture[1, 0] = 32, 255, 10
    shown = np.asarray(error_map(reference, picture)).sum(axis=-1)
    assert shown[1, 1] < 10 < shown[1, 0] < shown[0, 0] and shown[0, 1] == shown[0, 0]


def test_every_budget_of_the_slider_has_one_frame_of_each_role(inputs: ReportInputs) -> None:
    few = [picture for picture in inputs.pictures if picture.budget in (0, 3, 8)]
    for example in examples(few, inputs.budgets):
        for frames in example.frames.values():
            assert sorted(k for frame in frames for k in frame.shown_at.split()) == ["3", "4", "5", "6", "8"]
            assert [frame.shown_at for frame in frames] == ["3 4 5", "6 8"]


def test_learning_charts_show_what_was_recorded(inputs: ReportInputs) -> None:
    assert len(learning_charts(inputs)) == 5
    assert running_mean([1.0] * 5) == [1.0] * 5
    assert running_mean([float(i) for i in range(16)])[-1] == 14.5
