"""The whole held-out evaluation: measure, aggregate, and write the frontier, its plot, heat map and picture grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from recache_ray.config.evaluation import EvaluationConfig
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.frontier import FrontierRow, ScheduleCost, frontier_rows, write_frontier
from recache_ray.evaluation.gates import GatedMeasurements, GatedMethod, measure_gates
from recache_ray.evaluation.grid import collect_examples, write_grid
from recache_ray.evaluation.measure import Measurements, Methods, OnProgress, measure
from recache_ray.evaluation.measured import MeasuredGenerations
from recache_ray.evaluation.measured_gates import MeasuredGates
from recache_ray.evaluation.pictures import BEST_RIVAL, PICTURES, pictures_of
from recache_ray.evaluation.plots import plot_frontier, plot_step_frequency
from recache_ray.evaluation.rivals import best_rivals
from recache_ray.evaluation.samples import SAMPLES, samples_of
from recache_ray.evaluation.search_cost import SearchCost
from recache_ray.evaluation.table import POLICY, compare
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import ScheduleTable
from recache_ray.tracking.base import Tracker
from recache_ray.types import GenerationRequest, MechanismSpec, RolloutFailure

_GRID_COLUMNS = 8


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found and the files it wrote.

    Attributes:
        rows: the frontier; every row is over the same prompts.
        failures: tasks that gave no result.
        remarks: what is missing from the rows because of them, a line each.
        forwards_requested: transformer forwards one pipeline call per schedule would have taken.
        forwards_executed: those that ran.
        files: every file written, the frontier first.
        costs: what every method ran to find its schedules.
        quality_reference: mean quality of the uncached references; None without a quality model.
    """

    rows: tuple[FrontierRow, ...]
    failures: tuple[RolloutFailure, ...]
    forwards_requested: int
    forwards_executed: int
    files: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
    costs: tuple[SearchCost, ...] = ()
    quality_reference: float | None = None


def evaluate(
    pool: RolloutPool,
    table: ScheduleTable,
    baselines: Methods,
    requests: Sequence[GenerationRequest],
    mechanism: MechanismSpec,
    cost: ScheduleCost,
    section: EvaluationConfig,
    folder: Path,
    *,
    budgets: Sequence[int],
    seed: int,
    inclusion: Mapping[int, Sequence[float]] | None = None,
    on_progress: OnProgress | None = None,
    first_task_id: int = 0,
    adaptive: Mapping[str, GatedMethod] | None = None,
    memory: MeasuredGenerations | None = None,
    gate_memory: MeasuredGates | None = None,
) -> Evaluation:
    """Compare the table's schedules with ``baselines`` on held-out requests and write the results into ``folder``.

    References of the requests must be in the store the pool's workers read. Task ids from ``first_task_id`` on are
    used. The same arguments give the same rows, whichever pool runs the tasks. A prompt that one method failed on is
    left out for all of them, so that any two rows compare; an adaptive method that fails on more than a fifth of the
    prompts is left out itself.

    Args:
        pool: where the generations run.
        table: the learned schedules, the method called ``policy``.
        baselines: name -> budget -> schedules.
        requests: held-out prompts with their noise seeds.
        mechanism: what cached steps do.
        cost: measured cost of the model's steps.
        section: bootstrap and grid sizes.
        folder: receives frontier.parquet, frontier.csv, samples.parquet, frontier.png, step_frequency.png,
            grid.png and pictures.parquet.
        budgets: which budgets to evaluate.
        seed: of the bootstrap.
        inclusion: the policy's inclusion probabilities per budget, for the heat map.
        on_progress: called with (phase, tasks done, tasks in all).
        first_task_id: lowest task id to use.
        adaptive: methods whose schedules arise during the generation, by name.
        memory: generations of given schedules measured before, which are not run again.
        gate_memory: the same of adaptive methods.

    Raises:
        BadInputError: if there are no requests or the table lacks a budget.
        RunFailedError: if too many generations fail or the folder cannot be written.
    """
    if not requests:
        raise BadInputError("evaluation: no prompts to evaluate on; raise prompts.num_test or choose another split")
    methods: Methods = {POLICY: {budget: (table[budget],) for budget in budgets}, **baselines}
    measured = measure(
        pool, methods, requests, mechanism, on_progress=on_progress, first_task_id=first_task_id, memory=memory
    )
    gated = measure_gates(
        pool,
        adaptive or {},
        measured.requests,
        first_task_id=first_task_id + measured.num_tasks,
        on_progress=on_progress,
        memory=gate_memory,
    )
    shared = tuple(request for request in measured.requests if request not in gated.incomplete)
    failures = (*measured.failures, *gated.failures)
    if not shared:
        raise RunFailedError(
            f"evaluation: no prompt is left that every method completed, the first failed with {failures[0].reason!r}; "
            "leave the failing method out of evaluation.baselines"
        )
    num_measured, measured = len(measured.requests), replace(measured, requests=shared)
    resampling = {"bootstrap_samples": section.bootstrap_samples, "seed": seed}
    rows = (
        *frontier_rows(measured, methods, mechanism, cost, **resampling),
        *gated.rows(shared, cost, **resampling),
    )
    files = [
        *write_frontier(rows, folder),
        SAMPLES.write((*samples_of(measured, methods, mechanism), *gated.samples(shared)), folder / "samples.parquet"),
        plot_frontier(rows, folder / "frontier.png"),
    ]
    part = ScheduleTable(table.num_steps, {budget: table[budget] for budget in budgets})
    files.append(plot_step_frequency(part, folder / "step_frequency.png", inclusion))
    rivals = {budget: row.schedule for budget, row in best_rivals(rows, methods).items()}
    examples = collect_examples(
        pool,
        _grid_methods(rivals, methods),
        shared[: section.grid_prompts],
        mechanism,
        on_progress=on_progress,
        first_task_id=first_task_id + measured.num_tasks + gated.num_tasks,
    )
    title = f"Held-out prompts, {mechanism.id} caching, T = {table.num_steps} (red: closest to the uncached picture)"
    files.append(write_grid(examples, folder / "grid.png", title=title))
    files.append(PICTURES.write(pictures_of(examples, rivals), folder / "pictures.parquet"))
    remarks = _remarks(len(dict.fromkeys(requests)), num_measured, len(shared), gated, failures)
    return Evaluation(
        rows=rows,
        failures=failures,
        forwards_requested=measured.forwards_requested,
        forwards_executed=measured.forwards_executed,
        files=tuple(files),
        remarks=remarks,
        quality_reference=_quality_reference(measured),
    )


def log_evaluation(tracker: Tracker, evaluation: Evaluation) -> None:
    """Log the curves with step = budget and keep the files, so that comparing runs plots their frontiers.

    The policy's figures are ``eval/lpips``, ``eval/psnr``, ...; a baseline's LPIPS is ``eval/<name>/lpips``;
    ``eval/lpips_ratio`` is the policy's LPIPS over that of the best uniform schedule; ``eval/quality_drop`` is how far
    its quality is below that of the uncached references.
    """
    by_budget: dict[int, dict[str, float]] = {}
    for row in evaluation.rows:
        figures = by_budget.setdefault(row.budget, {})
        if row.schedule != POLICY:
            figures[f"eval/{row.schedule}/lpips"] = row.lpips
            continue
        for name in ("lpips", "psnr", "ssim", "quality", "reward", "flops_ratio", "seconds"):
            value = getattr(row, name)
            if value is not None:
                figures[f"eval/{name}"] = value
        if row.quality is not None and evaluation.quality_reference is not None:
            figures["eval/quality_drop"] = evaluation.quality_reference - row.quality
    for pair in compare(evaluation.rows):
        if math.isfinite(pair.ratio):
            by_budget[pair.policy.budget]["eval/lpips_ratio"] = pair.ratio
    for budget in sorted(by_budget):
        tracker.log_metrics(by_budget[budget], budget)
    for file in evaluation.files:
        tracker.log_artifact(file, "evaluation")


def _remarks(
    asked: int, measured: int, shared: int, gated: GatedMeasurements, failures: Sequence[RolloutFailure]
) -> tuple[str, ...]:
    """What failures cost the comparison, in numbers of prompts."""
    lines = [
        f"{name} is left out: {count} of its {measured} generations failed, at most a fifth may"
        for name, count in gated.dropped.items()
    ]
    if shared < asked:
        lines.append(f"{asked - shared} of {asked} prompts are left out for every method, since a generation failed")
    return (*lines, f"the first failure: {failures[0].reason}") if lines else ()


def _quality_reference(measured: Measurements) -> float | None:
    """One value per request, whatever schedules it was measured on."""
    by_request = {
        request: breakdown.metrics["quality_reference"]
        for (request, _), breakdown in measured.breakdowns.items()
        if "quality_reference" in breakdown.metrics
    }
    return fmean(by_request.values()) if by_request else None


def _grid_methods(rivals: Mapping[int, str], methods: Methods) -> Methods:
    """The policy and, per budget, its best rival, at no more budgets than fit a page."""
    budgets = sorted(methods[POLICY])
    columns = min(_GRID_COLUMNS, len(budgets))
    chosen = sorted({budgets[round(i * (len(budgets) - 1) / max(1, columns - 1))] for i in range(columns)})
    policy = {budget: methods[POLICY][budget] for budget in chosen}
    best = {budget: methods[rivals[budget]][budget] for budget in chosen if budget in rivals}
    return {POLICY: policy, BEST_RIVAL: best} if best else {POLICY: policy}
