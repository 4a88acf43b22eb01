"""The verb ``bench learning``: how close learning and search come to the best schedules there are."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from recache_ray.build.bench_methods import bench_methods
from recache_ray.build.model_check import check_model
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.reward_tables import exhaustive_tables
from recache_ray.config.root import Config
from recache_ray.evaluation.learning_report import JUDGED, TARGETS, LearningReport, LearningRun
from recache_ray.evaluation.reward_table import RewardTable
from recache_ray.tracking.provenance import provenance

# Eleven columns of figures with their spread.
WIDTH = 150
CALIBRATED = (
    "dpcache and dpcache_exact run no schedule: each is calibrated on one uncached generation, T transformer forwards, "
    "of every prompt of the table"
)


def bench_learning(config: Config, on_progress: OnProgress) -> tuple[str, bool]:
    """Build the tables by rollouts, run every method on them; text, and whether the targets hold.

    The figures also go to ``run.dir/bench_learning.json``.

    Raises:
        BadInputError, RunFailedError: if a setting does not fit, or the tables cannot be made.
    """
    check_model(config)
    tables = exhaustive_tables(config, on_progress)
    report = LearningReport(run_methods(config, tables, on_progress), provenance(config.run.seed))
    output = Path(config.run.dir) / "bench_learning.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH).print(report.table())
    misses = report.misses()
    asked = [f"{TARGETS[number]:.2f} after {number}" for number in config.bench.evaluations if number in TARGETS]
    targets = f"mean regret at most {', '.join(asked)}" if asked else "no target at these numbers of evaluations"
    verdict = f"{JUDGED}: {targets} at every T; behind annealing on no table: " + (
        "MISSED\n" + "\n".join(f"  {line}" for line in misses) if misses else "met"
    )
    return f"{buffer.getvalue().rstrip()}\n{CALIBRATED}\n{verdict}\nwrote {output}", not misses


def run_methods(config: Config, tables: Sequence[RewardTable], on_progress: OnProgress) -> list[LearningRun]:
    """Every method on every table with every number of evaluations and seed, on one thread."""
    methods = bench_methods(config)
    seeds = range(config.run.seed, config.run.seed + config.bench.seeds)
    work = list(itertools.product(tables, config.bench.evaluations, methods, seeds))
    clock = PhaseClock("bench", len(work))
    runs = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for table, evaluations, method, seed in work:
            started_s = time.perf_counter()
            chosen, asked = methods[method](table, evaluations, seed)
            seconds = time.perf_counter() - started_s
            runs.append(
                LearningRun(
                    table.name, table.num_steps, method, evaluations, seed, table.regret(chosen), asked, seconds
                )
            )
            on_progress(clock.at(len(runs)))
    finally:
        torch.set_num_threads(threads)
    return runs
