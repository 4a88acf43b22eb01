"""Puts together what every configured method ran to find its schedules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recache_ray.baselines.offline import Need, needs, reached_budgets
from recache_ray.build.budgets import evaluation_budgets
from recache_ray.build.gates import Gates, gate_requests
from recache_ray.build.rivals import searched_rivals
from recache_ray.build.searches import Searched, search_requests
from recache_ray.config.root import Config
from recache_ray.evaluation.search_cost import SearchCost, training_costs
from recache_ray.evaluation.table import POLICY
from recache_ray.evaluation.work import Work
from recache_ray.tracking.jsonl import read_metrics
from recache_ray.types import ModelReport


def search_costs(
    config: Config,
    learned: tuple[int, ...],
    report: ModelReport,
    calibrated: Mapping[Need, Work],
    searched: Searched,
    gates: Gates,
) -> tuple[SearchCost, ...]:
    """The policy's cost for all its budgets, then that of every baseline that ran something, in configured order.

    Args:
        config: which baselines, on how many prompts.
        learned: the budgets of the policy.
        report: of the model, for what a reference costs.
        calibrated: what each calibration took.
        searched: what searches took.
        gates: with what thresholds took.
    """
    num_steps = config.model.num_steps
    forwards = num_steps * int(report.model.get("forwards_per_step", 1))

    def references(prompts: int) -> Work:
        return Work(prompts, prompts * forwards, prompts * forwards, prompts * num_steps * report.computed_s)

    rows: list[SearchCost] = []
    metrics = Path(config.run.dir) / "metrics.jsonl"
    if training := training_costs(read_metrics(metrics), learned) if metrics.exists() else ():
        prompts = config.prompts.num_train + config.prompts.num_validation
        rows += [SearchCost.of(POLICY, "references", learned, references(prompts)), *training]
        rows += [
            SearchCost.of(POLICY, need.value, learned, calibrated[need])
            for need in Need
            if need in needs(searched_rivals(config))
        ]
    for name in dict.fromkeys(config.evaluation.baselines):
        budgets = reached_budgets(name, num_steps, evaluation_budgets(config))
        for need in needs((name,)):
            if need is Need.EDGES:
                rows.append(
                    SearchCost.of(name, "references", budgets, references(config.evaluation.calibration_prompts))
                )
            rows.append(SearchCost.of(name, need.value, budgets, calibrated[need]))
        if name in searched.schedules:
            rows.append(SearchCost.of(name, "references", budgets, references(len(search_requests(config)))))
            rows += [SearchCost.of(name, "search", (budget,), searched.work[name, budget]) for budget in budgets]
        if name in gates.work:
            rows.append(SearchCost.of(name, "references", budgets, references(len(gate_requests(config)))))
            rows.append(SearchCost.of(name, "thresholds", budgets, gates.work[name]))
    return tuple(rows)
