"""What a search found, as text and as an experiment file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from recache_ray.build.plain_text import plain
from recache_ray.build.tune_trial import SCORE, is_cost
from recache_ray.config.root import Config
from recache_ray.distributed.tuning import TrialResult

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Scores on seeds the search has not seen: (seed, with the settings given, with the best), NaN where one failed."""

    scores: tuple[tuple[int, float, float], ...]

    @property
    def wins(self) -> int:
        """Seeds on which the best settings are better."""
        return sum(best > given for _, given, best in self.scores)

    @property
    def mean_gain(self) -> float:
        """Mean over the seeds of best minus given; NaN where a training failed."""
        return sum(best - given for _, given, best in self.scores) / len(self.scores)


def best_trial(trials: Sequence[TrialResult]) -> TrialResult:
    """The highest score among the trainings that went furthest: one stopped early was judged on less."""
    furthest = max(trial.updates for trial in trials)
    return max((trial for trial in trials if trial.updates == furthest), key=lambda trial: trial.metrics[SCORE])


def experiment_yaml(config: Config, best: TrialResult, trials: int, confirmation: Confirmation | None) -> str:
    """The best settings as a file for conf/experiment/: ``experiment=tuned``."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in best.values.items():
        section, _, knob = name.partition(".")
        sections.setdefault(section, {})[knob] = value
    lines = [
        "# @package _global_",
        f"# best of {trials} trainings of {config.learning.num_updates} updates, score {best.metrics[SCORE]:.4f} on "
        f"{config.prompts.num_validation} validation prompts",
    ]
    if confirmation is not None:
        lines.append(
            f"# better on {confirmation.wins} of {len(confirmation.scores)} other seeds, {config.prompts.num_test} "
            f"test prompts each, by {confirmation.mean_gain:+.4f} in the mean"
        )
    for section, knobs in sections.items():
        lines.append(f"{section}:")
        lines += [f"  {knob}: {_yaml(value)}" for knob, value in knobs.items()]
    return "\n".join(lines) + "\n"


def tune_text(
    config: Config,
    given: Mapping[str, Any],
    trials: Sequence[TrialResult],
    best: TrialResult,
    confirmation: Confirmation | None,
    path: Path,
) -> str:
    """The best trainings, whether they hold on other seeds, and what to do next."""
    names = tuple(given)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("training", "updates", "score", *names):
        table.add_column(column, justify="left" if column == "training" else "right")
    ranked = sorted(trials, key=lambda trial: (trial.updates, trial.metrics[SCORE]), reverse=True)
    shown = ranked[:_SHOWN] + [trial for trial in ranked[_SHOWN:] if _is_given(trial, given)]
    for trial in shown:
        name = f"{trial.name} (as given)" if _is_given(trial, given) else trial.name
        values = (_short(trial.values[key]) for key in names)
        table.add_row(name, str(trial.updates), f"{trial.metrics[SCORE]:.4f}", *values)
    meaning = "minus the mean over budgets of ln LPIPS" if is_cost(config) else "mean reward"
    lines = [
        f"{len(trials)} trainings; score: {meaning} of the policy's modes on "
        f"{config.prompts.num_validation} validation prompts, higher is better",
        plain(table),
        "",
    ]
    if _is_given(best, given):
        lines.append("nothing better than the settings as given was found")
    elif confirmation is not None:
        lines += _confirmation_lines(config, confirmation)
    lines.append(f"wrote {path}; copy it to conf/experiment/ and add experiment=tuned to recache train")
    return "\n".join(lines)


def _confirmation_lines(config: Config, confirmation: Confirmation) -> list[str]:
    lines = [f"on {config.prompts.num_test} test prompts each, with seeds the search has not seen:"]
    for seed, given, best in confirmation.scores:
        ratio = f", LPIPS x {math.exp(given - best):.3f}" if is_cost(config) else ""
        lines.append(f"  seed {seed}: as given {given:.4f}, best {best:.4f}{ratio}")
    count = len(confirmation.scores)
    lines.append(f"better on {confirmation.wins} of {count} seeds, by {confirmation.mean_gain:+.4f} in the mean")
    return lines


def _is_given(trial: TrialResult, given: Mapping[str, Any]) -> bool:
    return all(trial.values[name] == value for name, value in given.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _yaml(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
