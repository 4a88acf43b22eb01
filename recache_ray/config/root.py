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


def load_config(values: Mapping[str, Any]) -> Config:
    """Build and cross-check a :class:`Config` from nested plain data.

    Raises:
        BadInputError: one line naming the dotted path, the value, the bound and the remedy.
    """
    config = from_mapping(Config, values)
    budgets, _ = config.budgets, config.evaluation_budgets
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
    _check_reward(config.reward)
    return config


def _check_reward(section: s.RewardConfig) -> None:
    if section.fidelity == "none" and section.alpha == 0:
        raise BadInputError(
            "reward.fidelity = none with reward.alpha = 0: nothing is rewarded; raise reward.alpha or keep fidelity"
        )
    if section.quality == "imagereward" and not section.quality_env:
        raise BadInputError(
            "reward.quality_env is empty: reward.quality = imagereward needs an environment of its own; make it with: "
            "python -m recache_ray.metrics.quality.environments imagereward envs/imagereward"
        )
    if section.quality == "open_clip" and not section.quality_path:
        raise BadInputError("reward.quality_path is empty: reward.quality = open_clip needs a folder in its layout")
