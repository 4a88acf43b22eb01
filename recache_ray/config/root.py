"""The whole configuration, seen only by build and cli, and the checks that span groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recache_ray.config import sections as s
from recache_ray.config.knobs import from_mapping, section
from recache_ray.errors import BadInputError
from recache_ray.schedules import parse_budgets


@dataclass(frozen=True)
class Config:
    """Every knob of a run. Build it with :func:`load_config`."""

    run: s.RunConfig = section(s.RunConfig)
    model: s.ModelConfig = section(s.ModelConfig)
    mechanism: s.MechanismConfig = section(s.MechanismConfig)
    prompts: s.PromptsConfig = section(s.PromptsConfig)
    references: s.ReferencesConfig = section(s.ReferencesConfig)
    reward: s.RewardConfig = section(s.RewardConfig)
    policy: s.PolicyConfig = section(s.PolicyConfig)
    learning: s.LearningConfig = section(s.LearningConfig)
    runtime: s.RuntimeConfig = section(s.RuntimeConfig)
    tracking: s.TrackingConfig = section(s.TrackingConfig)
    evaluation: s.EvaluationConfig = section(s.EvaluationConfig)
    generate: s.GenerateConfig = section(s.GenerateConfig)
    bench: s.BenchConfig = section(s.BenchConfig)
    cluster: s.ClusterConfig = section(s.ClusterConfig)

    @property
    def budgets(self) -> tuple[int, ...]:
        """The budgets to learn, ascending."""
        return parse_budgets(self.learning.budgets, self.model.num_steps, name="learning.budgets")

    @property
    def evaluation_budgets(self) -> tuple[int, ...]:
        """The budgets to evaluate, ascending."""
        if not self.evaluation.budgets:
            return self.budgets
        return parse_budgets(self.evaluation.budgets, self.model.num_steps, name="evaluation.budgets")

    @property
    def gate_budgets(self) -> tuple[int, ...]:
        """The budgets adaptive baselines are brought to, ascending, all of them evaluated.

        Raises:
            BadInputError: if one is not evaluated.
        """
        if not self.evaluation.gate_budgets:
            return self.evaluation_budgets
        chosen = parse_budgets(self.evaluation.gate_budgets, self.model.num_steps, name="evaluation.gate_budgets")
        if missing := sorted(set(chosen) - set(self.evaluation_budgets)):
            raise BadInputError(
                f"evaluation.gate_budgets = {self.evaluation.gate_budgets!r}: {missing} are not evaluated; add them to "
                "evaluation.budgets or leave them out"
            )
        return chosen


def load_config(values: Mapping[str, Any]) -> Config:
    """Build and cross-check a :class:`Config` from nested plain data.

    Raises:
        BadInputError: one line naming the dotted path, the value, the bound and the remedy.
    """
    config = from_mapping(Config, values)
    budgets, _ = config.budgets, config.gate_budgets
    if budgets[0] < 2:
        raise BadInputError(
            f"learning.budgets = {config.learning.budgets!r}: budget 1 has a single schedule to offer; start at 2"
        )
    if config.runtime.min_workers > config.runtime.num_workers:
        raise BadInputError(
            f"runtime.min_workers = {config.runtime.min_workers}: must be at most "
            f"runtime.num_workers = {config.runtime.num_workers}"
        )
    if config.model.kind != "shapes" and not config.model.path:
        raise BadInputError(f"model.path is empty: model.kind = {config.model.kind!r} needs a local folder or hub id")
    if config.model.kind != "shapes" and not config.prompts.file:
        raise BadInputError(
            f"prompts.file is empty: model.kind = {config.model.kind!r} needs a file, one prompt a line"
        )
    return config
