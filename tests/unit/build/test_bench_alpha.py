"""The study trains one run per weight, on the same references, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recache_ray.build import bench_alpha as module
from recache_ray.build.bench_alpha import bench_alpha
from recache_ray.build.training_job import TrainOutcome
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.alpha_study import QUALITY_ONLY, read_points
from recache_ray.evaluation.frontier import FrontierRow, write_frontier
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.tracking.jsonl import JsonlTracker


def config_of(folder: Path, **bench: Any) -> Config:
    return load_config({"run": {"dir": str(folder / "study")}, "bench": {"alphas": [0, 7], **bench}})


class FakeTraining:
    """Writes what a training of this configuration would leave; ``stops`` makes it an interrupted one."""

    def __init__(self) -> None:
        self.runs: list[Config] = []
        self.stops = False

    def __call__(self, config: Config, on_progress: object) -> TrainOutcome:
        self.runs.append(config)
        if self.stops:
            return TrainOutcome(True, "interrupted")
        folder = Path(config.run.dir)
        lpips = 0.1 + config.reward.alpha / 100
        row = FrontierRow(
            schedule="policy",
            mechanism="taylor1",
            num_steps=20,
            budget=3,
            computed_steps_mean=3.0,
            computed_steps_std=0.0,
            flops_ratio=6.5,
            seconds=0.1,
            lpips=lpips,
            psnr=None,
            ssim=None,
            quality=0.5,
            reward=-lpips,
            num_samples=4,
            lpips_ci_low=lpips,
            lpips_ci_high=lpips,
        )
        write_frontier([row], folder / "evaluation")
        ScheduleTable(20, {3: Schedule(20, (0, 4, 9))}).save(folder / "schedules.json")
        tracker = JsonlTracker(folder / "metrics.jsonl")
        tracker.log_metrics({"reward/mean": 1.0}, 3)
        tracker.log_metrics({"eval/quality_drop": 0.25}, 3)
        tracker.close()
        return TrainOutcome(False, "done")


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    fake = FakeTraining()
    monkeypatch.setattr(module, "train", fake)
    return fake


def test_one_run_per_weight_and_one_without_fidelity(training: FakeTraining, tmp_path: Path) -> None:
    text, finished = bench_alpha(config_of(tmp_path), lambda _: None)
    assert finished and "quality only" in text
    rewards = [run.reward for run in training.runs]
    assert [(reward.alpha, reward.fidelity) for reward in rewards] == [(0, "linear"), (7, "linear"), (1, "none")]
    assert {reward.quality for reward in rewards} == {"shapes"}  # measured at weight 0 too
    assert len({run.run.dir for run in training.runs}) == 3
    assert len({run.references.dir for run in training.runs}) == 1
    points = read_points(tmp_path / "study" / "alpha.json")
    assert [point.alpha for point in points] == [0, 7, QUALITY_ONLY]
    assert [point.quality_reference for point in points] == [0.75] * 3
    assert points[1].lpips == pytest.approx(0.17) and points[1].schedule == (0, 4, 9)
    assert (tmp_path / "study" / "alpha.png").exists()


def test_finished_runs_are_not_trained_again(training: FakeTraining, tmp_path: Path) -> None:
    config = config_of(tmp_path, quality_only=False)
    training.stops = True
    text, finished = bench_alpha(config, lambda _: None)
    assert not finished and "alpha_0" in text
    training.stops = False
    bench_alpha(config, lambda _: None)
    assert [Path(run.run.dir).name for run in training.runs] == ["alpha_0", "alpha_0", "alpha_7"]
    bench_alpha(config, lambda _: None)
    assert len(training.runs) == 3


@pytest.mark.parametrize(
    ("bench", "said"),
    [
        ({"alphas": [0, -1]}, "-1 is no weight; must be at least 0 and at most 1000"),
        ({"alphas": [float("nan")]}, "nan is no weight"),
        ({"alphas": [], "quality_only": False}, "nothing to train"),
    ],
)
def test_unfit_weights_are_refused_before_anything_runs(
    training: FakeTraining, tmp_path: Path, bench: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        bench_alpha(config_of(tmp_path, **bench), lambda _: None)
    assert not training.runs
