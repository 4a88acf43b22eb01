"""Held-out evaluation of a table of schedules against the configured baselines."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN
from recache_ray.baselines.offline import Calibration, reached_budgets
from recache_ray.baselines.registry import baseline_schedules, check_baselines
from recache_ray.baselines.searches import SEARCHES
from recache_ray.build.budgets import evaluation_budgets, gate_budgets, learning_budgets
from recache_ray.build.calibration import calibration_for, check_calibration
from recache_ray.build.costs import search_costs
from recache_ray.build.gates import find_gates
from recache_ray.build.mechanism import check_fits, mechanism_spec
from recache_ray.build.probe import probe_model, step_cost
from recache_ray.build.progress import OnProgress, phase_listener
from recache_ray.build.reproduction import record_evaluation
from recache_ray.build.requests import evaluation_requests
from recache_ray.build.rivals import searched_rivals
from recache_ray.build.searches import check_searches, find_by_search
from recache_ray.caching.registry import build_executor
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.evaluate import Evaluation, evaluate
from recache_ray.evaluation.measured import MeasuredGenerations
from recache_ray.evaluation.measured_gates import MeasuredGates
from recache_ray.evaluation.search_cost import COSTS
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.types import ModelReport


def check_evaluation(config: Config) -> tuple[str, ...]:
    """The configured baselines by name, checked before a run spends hours on what they are compared with.

    Raises:
        BadInputError: if one is unknown, reaches none of the budgets, cannot be calibrated or needs another mechanism,
            if a budget of the evaluation is not learned, if there are too few prompts, or if cache-dit is the mechanism
            and not installed.
    """
    names = check_baselines(config.evaluation.baselines)
    evaluation_requests(config)
    build_executor(mechanism_spec(config))
    check_fits(mechanism_spec(config), names)
    budgets, learned = evaluation_budgets(config), learning_budgets(config)
    gate_budgets(config)
    unlearned = [budget for budget in budgets if budget not in learned]
    if unlearned:
        raise BadInputError(
            f"evaluation.budgets = {config.evaluation.budgets!r}: {unlearned[0]} is not among "
            f"learning.budgets = {config.learning.budgets!r}; choose from those, or learn it too"
        )
    for name in names:
        reached_budgets(name, config.model.num_steps, budgets)
    check_calibration(config, names)
    check_searches(config)
    return names


def run_evaluation(
    config: Config,
    pool: RolloutPool,
    table: ScheduleTable,
    policy: BudgetPolicy,
    on_progress: OnProgress,
    report: ModelReport | None = None,
) -> Evaluation:
    """Evaluate on the configured prompts, whose references must be stored, and write ``run.dir/evaluation``.

    Raises:
        BadInputError: as :func:`check_evaluation`, or if the table lacks a budget, or a stored calibration is of
            another model, T or mechanism.
        RunFailedError: if too many generations fail.
    """
    requests = evaluation_requests(config)
    budgets = evaluation_budgets(config)
    names = check_evaluation(config)
    report = report or probe_model(pool, mechanism_spec(config), requests[0])
    known = (*names, *searched_rivals(config))  # what the policy was told of is part of what it cost
    calibration, calibrated = calibration_for(config, pool, report.model, mechanism_spec(config), known, on_progress)
    for name in names:
        reached = reached_budgets(name, config.model.num_steps, budgets)
        if reached != budgets:
            missing = ", ".join(str(budget) for budget in budgets if budget not in reached)
            on_progress(
                f"{name} has no schedule for budgets {missing}; it is compared at {', '.join(map(str, reached))}"
            )
    folder, identity = Path(config.run.dir) / "evaluation", _identity(config, report)
    with MeasuredGates(folder, identity) as gate_memory:
        gates = find_gates(config, pool, mechanism_spec(config), gate_budgets(config), on_progress, gate_memory)
        searched = find_by_search(config, pool, report.model, mechanism_spec(config), table, on_progress)
        evaluation = evaluate(
            pool,
            table,
            {**baseline_methods(config, budgets, calibration), **searched.schedules, **gates.frozen},
            requests,
            mechanism_spec(config),
            step_cost(report),
            config.evaluation,
            folder,
            budgets=budgets,
            seed=config.run.seed,
            inclusion={k: policy.distribution(k).inclusion().detach().tolist() for k in budgets},
            on_progress=phase_listener("evaluate", on_progress),
            adaptive=gates.adaptive,
            memory=MeasuredGenerations(folder, identity),
            gate_memory=gate_memory,
        )
    costs = search_costs(config, table.budgets, report, calibrated, searched, gates)
    file = COSTS.write(costs, folder / "cost.parquet")
    record_evaluation(config)
    return replace(evaluation, costs=costs, files=(*evaluation.files, file))


def _identity(config: Config, report: ModelReport) -> dict[str, object]:
    """What decides a measurement besides request, mechanism and schedule; the device only rounds differently."""
    model = {name: value for name, value in report.model.items() if name != "device"}
    return {"model": model, "reward": asdict(config.reward)}


def baseline_methods(
    config: Config, budgets: tuple[int, ...], calibration: Calibration | None = None
) -> dict[str, dict[int, tuple[Schedule, ...]]]:
    """Name to budget to schedules, for every configured baseline that neither gates nor searches, where it reaches."""
    return {
        name: {
            budget: tuple(
                baseline_schedules(
                    name,
                    config.model.num_steps,
                    budget,
                    seed=config.run.seed,
                    random_count=config.evaluation.random_schedules,
                    calibration=calibration,
                )
            )
            for budget in reached_budgets(name, config.model.num_steps, budgets)
        }
        for name in check_baselines(config.evaluation.baselines)
        if name not in (*ADAPTIVE, *FROZEN, *SEARCHES)
    }
