"""From marks to figures: efficiency, CPU and bytes per group, the extrapolated limit, missed targets."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from recache_ray.evaluation.scale.figures import (
    LearnerLoad,
    ScalePoint,
    efficiency,
    learner_load,
    misses,
    quantile,
    scale_point,
)
from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.evaluation.scale.report import plot_scale, scale_table
from recache_ray.evaluation.scale.watched_pool import Mark, Span, Window

STEADY = SimulatedLoad(mean_s=4.0, cv=0.0)
# 10 s, 2 s of CPU of which 1 s in the learner's thread, 0.4 s of that in the pool, 20 groups
SPANS = {"rollout-0": Span(100.0, 110.0, 9.0), "rollout-1": Span(101.0, 107.0, 6.0)}
WINDOW = Window(Mark(100.0, 5.0, 3.0, 1.0, 7), Mark(110.0, 7.0, 4.0, 1.4, 27), [0] * 10 + [2] * 10, SPANS)


def point(**changes: float) -> ScalePoint:
    made = scale_point(
        8, True, STEADY, WINDOW, sent_bytes=[90, 110], received_bytes=[], dropped=1, lost=2, updates=5, late_s=0.001
    )
    return replace(made, **changes)


def test_figures_are_those_between_the_marks() -> None:
    made = point()
    assert (made.seconds, made.groups, made.groups_per_s) == (10.0, 20, 2.0)
    assert made.efficiency == pytest.approx(15 / 16)
    assert (made.core_share, made.group_ms) == (pytest.approx(0.2), pytest.approx(100.0))
    assert (made.pool_ms, made.learner_ms) == (pytest.approx(20.0), pytest.approx(30.0))
    assert (made.sent_bytes, made.received_bytes, made.late_ms) == (100.0, 0.0, 1.0)
    assert (made.lag_mean, made.lag_p50, made.lag_p95, made.lag_max) == (1.0, 0, 2, 2)
    assert made.to_json()["groups_per_s"] == 2.0


def test_unavoidable_losses_are_taken_off_the_ideal() -> None:
    spot = SimulatedLoad(4.0, 0.0, preemptions_per_hour=60.0, reload_s=30.0)
    best = Span(0.0, 100.0, 100.0 * spot.ideal_busy_share)
    assert best.busy_s < 70.0
    assert efficiency([best], spot) == pytest.approx(1.0)
    assert efficiency([best, Span(0.0, 100.0)], spot) == pytest.approx(0.5)
    assert math.isnan(efficiency([Span(5.0, 5.0)], spot))


def test_a_quantile_is_the_smallest_value_that_covers_its_share() -> None:
    values = [1, 2, 3, 4]
    assert [quantile(values, share) for share in (0.0, 0.25, 0.26, 0.5, 1.0)] == [1, 1, 2, 2, 4]


def test_the_line_through_points_on_a_line_is_that_line() -> None:
    points = [point(groups=groups, core_share=0.03 + 0.002 * groups / 10.0) for groups in (10, 200, 1280)]
    fit = learner_load(points)
    assert (fit.idle_share, fit.group_s) == (pytest.approx(0.03), pytest.approx(0.002))
    # a core is full at 0.97 / 0.002 = 485 groups a second, each of which keeps an actor busy for 4 s
    assert fit.saturates_at(STEADY) == pytest.approx(1940.0)


def test_the_line_never_starts_below_zero_and_one_point_goes_through_the_origin() -> None:
    assert learner_load([point(core_share=0.5)]) == LearnerLoad(0.0, 0.25)
    bent = learner_load([point(groups=10, core_share=0.0), point(groups=20, core_share=0.1)])
    assert bent.idle_share == 0.0 and 0.0 < bent.group_s < 0.05
    assert LearnerLoad(0.0, 0.0).saturates_at(STEADY) == math.inf


def test_targets_are_missed_one_by_one() -> None:
    good = point(efficiency=0.95, core_share=0.49)
    assert misses([good]) == []
    slow, hungry = replace(good, efficiency=0.949), replace(good, core_share=0.5)
    assert misses([slow, good]) == ["8 actors: 94.9% of the ideal throughput"]
    assert misses([hungry]) == ["8 actors: the learner takes 50% of a core"]


def test_table_and_picture_show_every_point(tmp_path) -> None:
    points = [point(actors=1, shared=False), point(actors=64)]
    assert scale_table(points).row_count == 2
    written = plot_scale(points, learner_load(points), STEADY, tmp_path / "scale.png")
    assert written.read_bytes().startswith(b"\x89PNG")
