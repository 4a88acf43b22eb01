import csv
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recache_ray.baselines.random import random_schedules
from recache_ray.baselines.uniform import uniform
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.frontier import FrontierRow, frontier_rows, read_frontier, write_frontier
from recache_ray.evaluation.measure import Measurements, measure
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import TenthCost, gap_score, held_out_requests
from recache_ray.types import MechanismSpec, RewardBreakdown

SPEC = MechanismSpec("taylor", 1)
REQUESTS = held_out_requests(6)
COLUMNS = [
    "schedule",
    "mechanism",
    "num_steps",
    "budget",
    "computed_steps_mean",
    "computed_steps_std",
    "flops_ratio",
    "seconds",
    "lpips",
    "psnr",
    "ssim",
    "quality",
    "reward",
    "num_samples",
    "lpips_ci_low",
    "lpips_ci_high",
]


@pytest.fixture
def rows() -> tuple[FrontierRow, ...]:
    methods = {
        "policy": {10: (Schedule.full(10),), 4: (uniform(10, 4),)},
        "random": {4: random_schedules(10, 4, count=3, seed=0)},
    }
    measured = measure(ScriptedPool(gap_score), methods, REQUESTS, SPEC)
    return frontier_rows(measured, methods, SPEC, TenthCost(), bootstrap_samples=200, seed=0)


def test_rows_are_means_over_prompts_and_schedules(
    rows: tuple[FrontierRow, ...],
) -> None:
    assert [(row.schedule, row.budget) for row in rows] == [("policy", 4), ("policy", 10), ("random", 4)]
    drawn = random_schedules(10, 4, count=3, seed=0)
    expected = [gap_score(request, schedule).metrics["lpips"] for request in REQUESTS for schedule in drawn]
    assert rows[2].lpips == pytest.approx(sum(expected) / len(expected), rel=1e-12)
    assert rows[2].num_samples == len(expected) == 18
    assert all(row.lpips_ci_low <= row.lpips <= row.lpips_ci_high for row in rows)
    assert rows[0].reward == pytest.approx(-rows[0].lpips)
    assert rows[0].mechanism == "taylor1" and rows[0].quality is None


def test_cost_columns_follow_the_cost_of_a_step(rows: tuple[FrontierRow, ...]) -> None:
    assert rows[0].seconds == pytest.approx(4 * 0.5 + 6 * 0.05)
    assert rows[0].flops_ratio == pytest.approx(10 / 4.6)
    assert (rows[0].computed_steps_mean, rows[0].computed_steps_std) == (4.0, 0.0)


def test_identical_pictures_count_as_one_hundred_db(rows: tuple[FrontierRow, ...]) -> None:
    assert (rows[1].lpips, rows[1].psnr, rows[1].lpips_ci_low, rows[1].lpips_ci_high) == (0.0, 100.0, 0.0, 0.0)


def test_files_have_exactly_the_promised_columns_and_read_back(rows: tuple[FrontierRow, ...], tmp_path: Path) -> None:
    parquet, text = write_frontier(rows, tmp_path / "evaluation")
    assert sorted(path.name for path in parquet.parent.iterdir()) == ["frontier.csv", "frontier.parquet"]
    assert pq.read_schema(parquet).names == COLUMNS
    assert read_frontier(parquet) == rows
    with text.open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert list(cells[0]) == COLUMNS
    assert cells[0]["quality"] == "" and float(cells[0]["lpips"]) == rows[0].lpips
    write_frontier((), tmp_path / "evaluation")
    assert read_frontier(parquet) == ()


def test_a_quality_model_fills_its_column_and_a_partial_one_does_not() -> None:
    schedule = uniform(10, 4)
    methods = {"policy": {4: (schedule,)}}
    values = {"lpips": 0.1, "quality": 0.25}
    measured = Measurements(
        tuple(REQUESTS[:2]),
        {(request, schedule): RewardBreakdown(1.0, values) for request in REQUESTS[:2]},
        num_tasks=2,
    )
    row = frontier_rows(measured, methods, SPEC, TenthCost(), bootstrap_samples=100, seed=0)[0]
    assert (row.quality, row.psnr, row.ssim) == (0.25, None, None)


def test_a_failed_write_leaves_the_old_files_and_nothing_else(
    rows: tuple[FrontierRow, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet, text = write_frontier(rows[:1], tmp_path)
    before = (parquet.read_bytes(), text.read_bytes())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailedError, match="No space left on device"):
        write_frontier(rows, tmp_path)
    assert (parquet.read_bytes(), text.read_bytes()) == before
    assert sorted(tmp_path.iterdir()) == sorted((parquet, text))


def test_reading_something_else_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="run recache evaluate"):
        read_frontier(tmp_path / "frontier.parquet")
    (tmp_path / "frontier.parquet").write_text("no parquet")
    with pytest.raises(BadInputError, match="run recache evaluate"):
        read_frontier(tmp_path / "frontier.parquet")
