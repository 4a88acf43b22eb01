"""Held-out evaluation of a table of schedules against the configured baselines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN
from recache_ray.baselines.offline import Calibration, Need, needs, reached_budgets
from recache_ray.baselines.registry import baseline_schedules, check_baselines
from recache_ray.build.calibration import calibration_for, check_calibration
from recache_ray.build.gates import find_gates
from recache_ray.build.probe import probe_model, step_cost
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.caching.registry import EXECUTORS, build_executor, runs_under_gates
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.evaluate import Evaluation, evaluate
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.types import MechanismSpec, ModelReport, Split

_ON_GATES = tuple(name for name in ADAPTIVE if name != "dicache_dcta")
"""Gates under which the run's mechanism makes the cached steps."""


def mechanism_spec(config: Config) -> MechanismSpec:
    """The configured mechanism."""
    return MechanismSpec(config.mechanism.kind, config.mechanism.order, config.mechanism.cut)


def check_evaluation(config: Config) -> tuple[str, ...]:
    """The configured baselines by name, checked before a run spends hours on what they are compared with.

    Raises:
        BadInputError: if one is unknown, reaches none of the budgets, cannot be calibrated or needs another mechanism,
            or if cache-dit is the mechanism and not installed.
    """
    names = check_baselines(config.evaluation.baselines)
    build_executor(mechanism_spec(config))
    _check_cut(mechanism_spec(config), names)
    for name in names:
        reached_budgets(name, config.model.num_steps, config.evaluation_budgets)
    check_calibration(config, names)
    return names


def run_evaluation(
    config: Config,
    pool: RolloutPool,
    table: ScheduleTable,
    policy: BudgetPolicy,
    on_progress: OnProgress,
    report: ModelReport | None = None,
) -> Evaluation:
    """Evaluate on the configured split, whose references must be stored, and write ``run.dir/evaluation``.

    Raises:
        BadInputError: as :func:`check_evaluation`, or if the table lacks a budget, or a stored calibration is of
            another model, T or mechanism.
        RunFailedError: if too many generations fail.
    """
    split: Split = config.evaluation.split  # type: ignore[assignment]
    requests = requests_of(prompt_set(config).split(split))
    budgets = config.evaluation_budgets
    names = check_evaluation(config)
    report = report or probe_model(pool, mechanism_spec(config), requests[0])
    calibration = calibration_for(config, pool, report.model, mechanism_spec(config), names, on_progress)
    gates = find_gates(config, pool, mechanism_spec(config), budgets, on_progress)
    clock: dict[str, PhaseClock] = {}

    def progress(phase: str, done: int, total: int) -> None:
        on_progress(clock.setdefault(phase, PhaseClock("evaluate", total)).at(done))

    return evaluate(
        pool,
        table,
        {**baseline_methods(config, budgets, calibration), **gates.frozen},
        requests,
        mechanism_spec(config),
        step_cost(report),
        config.evaluation,
        Path(config.run.dir) / "evaluation",
        budgets=budgets,
        seed=config.run.seed,
        inclusion={k: policy.distribution(k).inclusion().detach().tolist() for k in budgets},
        on_progress=progress,
        adaptive=gates.adaptive,
    )


def _check_cut(mechanism: MechanismSpec, names: Iterable[str]) -> None:
    if runs_under_gates(mechanism) and mechanism.kind != "dcta":
        return
    # the residuals that calibration records are not what cache-dit predicts
    unfit = [
        name
        for name in names
        if name in ("dpcache", "dpcache_exact")
        or (not runs_under_gates(mechanism) and name in (*_ON_GATES, *FROZEN))
        or (mechanism.kind in EXECUTORS and needs([name]) == {Need.RESIDUALS})
    ]
    if unfit:
        raise BadInputError(
            f"evaluation.baselines: {', '.join(unfit)} rest on forecasts of the whole stack's residual, which "
            f"mechanism {mechanism.id} does not make; leave them out, or use another mechanism"
        )


def baseline_methods(
    config: Config, budgets: tuple[int, ...], calibration: Calibration | None = None
) -> dict[str, dict[int, tuple[Schedule, ...]]]:
    """Name to budget to schedules, for every configured baseline without a gate and each of the budgets it reaches."""
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
        if name not in (*ADAPTIVE, *FROZEN)
    }
