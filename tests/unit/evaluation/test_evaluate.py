import io
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import pytest
from PIL import Image

from recache_ray.baselines.registry import BASELINES, baseline_schedules
from recache_ray.config.evaluation import EvaluationConfig
from recache_ray.errors import BadInputError
from recache_ray.evaluation.evaluate import evaluate, log_evaluation
from recache_ray.evaluation.frontier import read_frontier
from recache_ray.evaluation.grid import GridExample, collect_examples, write_grid
from recache_ray.evaluation.plots import plot_learning_curve
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import TenthCost, flat_picture, gap_score, held_out_requests
from recache_ray.tracking.jsonl import MetricsLine
from recache_ray.types import GenerationRequest, MechanismSpec, RewardBreakdown, RolloutTask

SPEC = MechanismSpec("taylor", 1)
REQUESTS = held_out_requests(6)
SECTION = EvaluationConfig(bootstrap_samples=100, grid_prompts=2)
TABLE = ScheduleTable(12, {k: Schedule.from_steps(12, (0, *range(13 - k, 12))) for k in (3, 4, 6)})


class RecordingTracker:
    run_id = ""

    def __init__(self) -> None:
        self.metrics: dict[int, Mapping[str, float]] = {}
        self.artifacts: list[tuple[str, str]] = []

    def log_params(self, params: Mapping[str, object]) -> None: ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.metrics[step] = metrics

    def log_artifact(self, path: Path, folder: str = "") -> None:
        self.artifacts.append((path.name, folder))

    def close(self, status: str = "FINISHED") -> None: ...


def test_evaluation_writes_its_files_and_logs_the_curve_by_budget(tmp_path: Path) -> None:
    baselines = {name: {k: baseline_schedules(name, 12, k) for k in (3, 4)} for name in BASELINES}
    pool = ScriptedPool(gap_score, draw=flat_picture)
    inclusion = {k: [float(mask) for mask in TABLE[k].compute_mask] for k in (3, 4)}
    result = evaluate(
        pool,
        TABLE,
        baselines,
        REQUESTS,
        SPEC,
        TenthCost(),
        SECTION,
        tmp_path,
        budgets=(3, 4),
        seed=0,
        inclusion=inclusion,
    )
    assert [path.name for path in result.files] == [
        "frontier.parquet", "frontier.csv", "samples.parquet", "frontier.png", "step_frequency.png", "grid.png",
        "pictures.parquet",
    ]  # fmt: skip
    assert sorted(result.files) == sorted(tmp_path.iterdir())
    assert read_frontier(result.files[0]) == result.rows and len(result.rows) == 2 * 5
    for path in result.files[3:-1]:
        with Image.open(path) as picture:
            assert (
                picture.convert("RGB").getcolors(100_000) is None or len(picture.convert("RGB").getcolors(100_000)) > 5
            )
    ids = [task.task_id for task in pool.tasks]
    assert ids == list(range(len(ids)))

    tracker = RecordingTracker()
    log_evaluation(tracker, result)
    assert set(tracker.metrics) == {3, 4}
    policy = next(row for row in result.rows if (row.schedule, row.budget) == ("policy", 4))
    figures = tracker.metrics[4]
    assert figures["eval/lpips"] == policy.lpips and figures["eval/flops_ratio"] == policy.flops_ratio
    assert "eval/quality" not in figures and "eval/uniform_warm/lpips" in figures
    best = min(figures[f"eval/{name}/lpips"] for name in ("uniform", "uniform_warm", "uniform_ends"))
    assert figures["eval/lpips_ratio"] == pytest.approx(policy.lpips / best)
    assert tracker.artifacts == [(path.name, "evaluation") for path in result.files]


def test_the_drop_in_quality_to_the_references_is_logged(tmp_path: Path) -> None:
    def with_quality(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
        found = gap_score(request, schedule)
        terms = {"quality": 0.5 + schedule.budget / 100, "quality_reference": 0.8 + request.prompt.index / 10}
        return RewardBreakdown(found.reward, {**found.metrics, **terms})

    pool = ScriptedPool(with_quality, draw=flat_picture)
    result = evaluate(pool, TABLE, {}, REQUESTS, SPEC, TenthCost(), SECTION, tmp_path, budgets=(3, 4), seed=0)
    mean = 0.8 + fmean(request.prompt.index for request in REQUESTS) / 10
    assert result.quality_reference == pytest.approx(mean)
    tracker = RecordingTracker()
    log_evaluation(tracker, result)
    for budget in (3, 4):
        assert tracker.metrics[budget]["eval/quality"] == pytest.approx(0.5 + budget / 100)
        assert tracker.metrics[budget]["eval/quality_drop"] == pytest.approx(mean - 0.5 - budget / 100)


def test_same_arguments_give_byte_equal_results(tmp_path: Path) -> None:
    frontiers = []
    for run, capacity in enumerate((1, 5)):
        pool = ScriptedPool(gap_score, draw=flat_picture, capacity=capacity)
        evaluate(pool, TABLE, {}, REQUESTS, SPEC, TenthCost(), SECTION, tmp_path / str(run), budgets=(3,), seed=7)
        frontiers.append((tmp_path / str(run) / "frontier.csv").read_bytes())
    assert frontiers[0] == frontiers[1]


def test_no_prompts_and_missing_budgets_are_bad_input(tmp_path: Path) -> None:
    pool = ScriptedPool(gap_score, draw=flat_picture)
    with pytest.raises(BadInputError, match=r"prompts\.num_test"):
        evaluate(pool, TABLE, {}, [], SPEC, TenthCost(), SECTION, tmp_path, budgets=(3,), seed=0)
    with pytest.raises(BadInputError, match="budget = 5: not in this table; it has 3, 4, 6"):
        evaluate(pool, TABLE, {}, REQUESTS, SPEC, TenthCost(), SECTION, tmp_path, budgets=(3, 5), seed=0)
    assert not pool.tasks and not list(tmp_path.iterdir())


def test_the_grid_shows_each_method_its_own_picture_beside_the_uncached_one(tmp_path: Path) -> None:
    methods = {"policy": {3: (TABLE[3],), 6: (TABLE[6],)}, "best rival": {3: baseline_schedules("uniform", 12, 3)}}
    pool = ScriptedPool(gap_score, draw=flat_picture)
    examples = collect_examples(pool, methods, REQUESTS[:2], SPEC, first_task_id=9)
    assert all(isinstance(task, RolloutTask) and task.return_images for task in pool.tasks)
    assert [example.caption for example in examples] == ["prompt 0", "prompt 1"]
    assert _red(examples[1].reference) == 120
    assert _red(examples[1].pictures["policy"][6][0]) == 60
    assert examples[0].pictures["policy"][3][1] == gap_score(REQUESTS[0], TABLE[3]).metrics["lpips"]

    with Image.open(write_grid(examples, tmp_path / "grid.png", title="A title")) as sheet:
        colours = {colour for _, colour in sheet.getcolors(1 << 20)}
    assert {(120, 0, 0), (60, 0, 0), (30, 0, 0), (120, 10, 0), (60, 10, 0), (30, 10, 0), (255, 255, 255)} <= colours


def test_pictures_that_are_not_square_and_long_captions_fit_the_grid(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (200, 100), (10, 20, 30)).save(stream, "PNG")
    wide = stream.getvalue()
    example = GridExample("words " * 200, wide, {"policy": dict.fromkeys(range(2, 5), (wide, 0.5))})
    with Image.open(write_grid([example], tmp_path / "grid.png", title="t")) as sheet:
        assert sheet.width < 1200


def test_learning_curve_takes_what_the_record_holds_and_nothing_else(tmp_path: Path) -> None:
    one = [MetricsLine(1, 0.0, {"reward/mean": 1.0}), MetricsLine(5, 0.0, {"eval/lpips": 0.5})]
    path = plot_learning_curve(one, tmp_path / "plots" / "learning.png")
    two = [*one, MetricsLine(2, 0.0, {"reward/mean": 2.0, "policy/entropy": 0.9, "reward/lpips/mean": None})]
    with Image.open(path) as picture, Image.open(plot_learning_curve(two, tmp_path / "two.png")) as wider:
        assert wider.width == 2 * picture.width
    with pytest.raises(BadInputError, match="train first"):
        plot_learning_curve(one[1:], path)


def _red(png: bytes) -> int:
    return Image.open(io.BytesIO(png)).getpixel((0, 0))[0]
