"""The verb ``bench alpha``: a policy per weight of the quality term, and what each costs in fidelity."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from recache_ray.build.progress import OnProgress
from recache_ray.build.train import train
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.alpha_study import (
    QUALITY_ONLY,
    AlphaPoint,
    alpha_label,
    alpha_table,
    plot_alpha,
    write_points,
)
from recache_ray.evaluation.frontier import read_frontier
from recache_ray.evaluation.table import POLICY
from recache_ray.rewards.quality import quality_kind
from recache_ray.schedules import ScheduleTable
from recache_ray.tracking.jsonl import read_metrics
from recache_ray.tracking.provenance import provenance

_LARGEST = 1000.0


def bench_alpha(config: Config, on_progress: OnProgress) -> tuple[str, bool]:
    """Train and evaluate once per weight in ``run.dir/alpha_<weight>``; the text, and whether all were finished.

    Every run measures the same quality model, also at weight 0, on the same references. A study that was interrupted
    goes on where it stopped. The figures go to ``run.dir/alpha.json``, the plot to ``run.dir/alpha.png``.

    Raises:
        BadInputError, RunFailedError: if a weight is out of bounds or a training cannot be done.
    """
    folder = Path(config.run.dir)
    points: list[AlphaPoint] = []
    for alpha in _alphas(config):
        run = _with_alpha(config, alpha)
        on_progress(f"alpha {alpha_label(alpha)}: training in {run.run.dir}")
        if not (Path(run.run.dir) / "evaluation" / "frontier.parquet").exists() and train(run, on_progress).interrupted:
            return f"interrupted; run the same command again to go on with {run.run.dir}", False
        points += _points(alpha, Path(run.run.dir))
    written = (
        write_points(points, provenance(config.run.seed), folder / "alpha.json"),
        plot_alpha(points, folder / "alpha.png"),
    )
    buffer = io.StringIO()
    Console(file=buffer, width=120).print(alpha_table(points))
    lines = [line.rstrip() for line in buffer.getvalue().rstrip().splitlines()]
    return "\n".join([*lines, *(f"wrote {file}" for file in written)]), True


def _alphas(config: Config) -> list[float]:
    chosen = list(dict.fromkeys(config.bench.alphas))
    for alpha in chosen:
        if not 0 <= alpha <= _LARGEST:
            raise BadInputError(f"bench.alphas: {alpha:g} is no weight; must be at least 0 and at most {_LARGEST:g}")
    if config.bench.quality_only:
        chosen.append(QUALITY_ONLY)
    if not chosen:
        raise BadInputError("bench.alphas is empty and bench.quality_only is false: nothing to train; name a weight")
    return chosen


def _with_alpha(config: Config, alpha: float) -> Config:
    """The run of one weight: the quality model named, so that weight 0 measures it too."""
    quality = quality_kind(replace(config.reward, alpha=1.0), config.model.kind)
    if alpha == QUALITY_ONLY:
        reward = replace(config.reward, alpha=1.0, fidelity="none", quality=quality)
    else:
        reward = replace(config.reward, alpha=alpha, quality=quality)
    name = f"alpha_{alpha_label(alpha).replace(' ', '_')}"
    return replace(
        config,
        run=replace(config.run, dir=str(Path(config.run.dir) / name)),
        reward=reward,
        tracking=replace(config.tracking, mlflow=False),
    )


def _points(alpha: float, folder: Path) -> Iterator[AlphaPoint]:
    drops = {
        line.step: drop
        for line in read_metrics(folder / "metrics.jsonl")
        if line.is_evaluation and (drop := line.metrics.get("eval/quality_drop")) is not None
    }
    table = ScheduleTable.load(folder / "schedules.json")
    for row in read_frontier(folder / "evaluation" / "frontier.parquet"):
        if row.schedule != POLICY:
            continue
        if row.quality is None or row.budget not in drops:
            raise RunFailedError(f"{folder}: its evaluation has no quality; remove the folder and run again")
        yield AlphaPoint(
            alpha=alpha,
            budget=row.budget,
            lpips=row.lpips,
            quality=row.quality,
            quality_reference=row.quality + drops[row.budget],
            num_samples=row.num_samples,
            schedule=table[row.budget].compute_steps,
        )
