"""The verbs that measure a trained policy and publish what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import Finished, Verb

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


def _evaluate(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.evaluate import evaluate

    return Finished(evaluate(config, progress))


def _report(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.report import report

    return Finished(report(config))


def _transfer(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.transfer import transfer

    return Finished(transfer(config, progress))


def _results(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.results import publish_results

    return Finished(publish_results(config))


EVALUATE = Verb(
    name="evaluate",
    summary="compare the trained policy with baselines over budgets, on held-out prompts",
    start="existing",
    useful=("run.dir", "evaluation", "runtime.num_workers", "tracking.mlflow_uri", "tracking.study"),
    examples=("recache evaluate run.dir=runs/default", "recache evaluate evaluation.budgets=4,6,8"),
    run=_evaluate,
)

REPORT = Verb(
    name="report",
    summary="write one self-contained page about an evaluated run: report/index.html",
    start="existing",
    useful=("run.dir", "evaluation.bootstrap_samples"),
    examples=("recache report run.dir=runs/default",),
    run=_report,
)

TRANSFER = Verb(
    name="transfer",
    summary="measure a run's schedules at other numbers of steps, beside those trained there",
    start="existing",
    useful=("run.dir", "transfer", "evaluation.budgets", "evaluation.bootstrap_samples", "runtime.num_workers"),
    examples=(
        "recache transfer run.dir=runs/t50 transfer.num_steps=[20,28,40]",
        "recache transfer run.dir=runs/t50 transfer.num_steps=[20] transfer.against=[runs/t20]",
    ),
    run=_transfer,
)

RESULTS = Verb(
    name="results",
    summary="publish evaluated runs: tables, ranking and picture under docs/results and in the README",
    start="fresh",
    useful=("results", "run.dir", "evaluation.bootstrap_samples"),
    examples=(
        "recache results run.dir=runs/default",
        "recache results results.runs=[runs/taylor,runs/newton,runs/taylor_seed1] results.name=shapes_t50",
        "recache results results.runs=[docs/results/shapes_t50.json,runs/hermite] results.name=shapes_t50",
    ),
    run=_results,
)
