import math
from pathlib import Path

import numpy as np
import pytest

from recache_ray.baselines.random import random_schedules
from recache_ray.baselines.uniform import uniform
from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import PSNR_CAP_DB, frontier_rows
from recache_ray.evaluation.measure import Measurements, Methods, measure
from recache_ray.evaluation.samples import SAMPLES, samples_of
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import TenthCost, gap_score, held_out_requests
from recache_ray.types import MechanismSpec, RewardBreakdown

SPEC = MechanismSpec("taylor", 1)
REQUESTS = held_out_requests(5)
METHODS: Methods = {
    "policy": {4: (uniform(10, 4),), 10: (Schedule.full(10),)},
    "random": {4: random_schedules(10, 4, count=3, seed=0)},
}


def test_the_frontier_is_the_mean_of_the_samples() -> None:
    measured = measure(ScriptedPool(gap_score), METHODS, REQUESTS, SPEC)
    samples = samples_of(measured, METHODS, SPEC)
    rows = frontier_rows(measured, METHODS, SPEC, TenthCost(), bootstrap_samples=100, seed=0)
    assert len(samples) == 5 * (1 + 1 + 3) == sum(row.num_samples for row in rows)
    for row in rows:
        mine = [s for s in samples if (s.schedule, s.budget, s.mechanism) == (row.schedule, row.budget, row.mechanism)]
        assert np.mean([s.lpips for s in mine]) == row.lpips
        assert np.mean([min(s.psnr or math.nan, PSNR_CAP_DB) for s in mine]) == row.psnr
        assert np.mean([len(s.compute_steps) for s in mine]) == row.computed_steps_mean
        assert {s.prompt_index for s in mine} == set(range(5))


def test_samples_read_back_as_written_infinities_and_large_seeds_included(tmp_path: Path) -> None:
    measured = measure(ScriptedPool(gap_score), METHODS, REQUESTS, SPEC)
    samples = samples_of(measured, METHODS, SPEC)
    assert any(sample.psnr == math.inf and sample.lpips == 0 for sample in samples)
    path = SAMPLES.write(samples, tmp_path / "evaluation" / "samples.parquet")
    assert SAMPLES.read(path) == samples
    assert [file.name for file in path.parent.iterdir()] == ["samples.parquet"]


def test_metrics_nobody_measured_are_absent() -> None:
    schedule = uniform(10, 4)
    measured = Measurements((REQUESTS[0],), {(REQUESTS[0], schedule): RewardBreakdown(-0.1, {"lpips": 0.1})}, 1)
    [sample] = samples_of(measured, {"policy": {4: (schedule,)}}, SPEC)
    assert (sample.psnr, sample.ssim, sample.quality, sample.reward) == (None, None, None, -0.1)


def test_something_else_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    with pytest.raises(BadInputError, match="run recache evaluate"):
        SAMPLES.read(path)
    path.write_bytes(SAMPLES.write([], tmp_path / "whole.parquet").read_bytes()[:-20])
    with pytest.raises(BadInputError, match="run recache evaluate") as refused:
        SAMPLES.read(path)
    assert "\n" not in str(refused.value)
