"""What a finished training prints: the comparison, what it cost, and where to look next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from recache_ray.build.budgets import learning_budgets
from recache_ray.build.plain_text import plain
from recache_ray.build.plan_money import actual_line
from recache_ray.build.requests import prompt_set
from recache_ray.config.root import Config
from recache_ray.evaluation.evaluate import Evaluation
from recache_ray.evaluation.frontier import FrontierRow
from recache_ray.evaluation.search_cost import SearchCost, cost_table
from recache_ray.evaluation.table import POLICY, frontier_table, verdict
from recache_ray.learning.progress import ProgressMeter, TrainingOutcome
from recache_ray.tracking.names import without_secrets


def summarise(
    config: Config, evaluation: Evaluation, outcome: TrainingOutcome, meter: ProgressMeter, seconds: float
) -> str:
    """The text of a finished training."""
    cost = (
        f"{outcome.updates} updates, {outcome.evaluations} rewards measured, {outcome.failures} failures; "
        f"transformer forwards executed / requested {1 - meter.forwards_saved:.2f}; {seconds:.0f} s"
    )
    paid = actual_line(config, seconds)
    return "\n".join(
        [
            comparison(evaluation.rows, evaluation.remarks),
            "",
            cost,
            *([paid] if paid else []),
            "",
            next_steps(config, Path(config.run.dir)),
        ]
    )


def comparison(rows: Sequence[FrontierRow], remarks: Sequence[str] = ()) -> str:
    """Table, verdict and remarks as plain text."""
    return "\n".join([plain(frontier_table(rows)), verdict(rows), *remarks])


def costs_text(costs: Sequence[SearchCost]) -> str:
    """What finding the schedules took as plain text; says so where the run did not record its own."""
    lines = [plain(cost_table(costs))] if costs else []
    if not any(cost.method == POLICY for cost in costs):
        lines.append("What training took is not recorded in this run's metrics.jsonl: an earlier release trained it.")
    return "\n".join(lines)


def next_steps(config: Config, folder: Path) -> str:
    """Where the results are and which commands use them."""
    lines = [
        f"schedules   {folder / 'schedules.json'}",
        f"policy      {folder / 'policy'}",
        f"pictures    {folder / 'evaluation'}: grid.png, frontier.png, step_frequency.png, learning.png",
        f"metrics     {folder / 'metrics.jsonl'}",
    ]
    if config.tracking.mlflow:
        lines.append(f"MLflow      {_mlflow_hint(config, folder)}")
    budgets = learning_budgets(config)
    middle = budgets[len(budgets) // 2]
    prompt = prompt_set(config).test[0].text
    output = "out.webp" if config.model.frames > 1 else "out.png"
    settings = (f"run.dir={folder}", f"prompt={prompt}", f"budget={middle}", f"output={output}")
    lines.append(f"next        {shlex.join(['recache', 'generate', *settings])}")
    return "\n".join(lines)


def _mlflow_hint(config: Config, folder: Path) -> str:
    uri = without_secrets(config.tracking.mlflow_uri) or f"sqlite:///{folder / 'mlflow.db'}"
    return uri if uri.startswith("http") else f"mlflow server --backend-store-uri {uri}"
