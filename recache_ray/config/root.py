"""The whole configuration, seen only by build and cli, and the checks that span groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recache_ray.config.bench import BenchConfig
from recache_ray.config.embedded import EMBEDDED_KINDS
from recache_ray.config.evaluation import EvaluationConfig, ResultsConfig, TransferConfig
from recache_ray.config.export import ExportConfig
from recache_ray.config.faults import FaultsConfig
from recache_ray.config.generate import GenerateConfig
from recache_ray.config.knobs import from_mapping, section
from recache_ray.config.learning import LearningConfig, PolicyConfig
from recache_ray.config.mechanism import MechanismConfig
from recache_ray.config.model import ModelConfig
from recache_ray.config.plan import PlanConfig
from recache_ray.config.price import PriceConfig
from recache_ray.config.prompts import PromptsConfig, ReferencesConfig
from recache_ray.config.reward import RewardConfig
from recache_ray.config.run import RunConfig, TrackingConfig
from recache_ray.config.runtime import ClusterConfig, RuntimeConfig
from recache_ray.config.scale import ScaleConfig
from recache_ray.config.serving import DemoConfig, LoadConfig, ServeConfig
from recache_ray.config.submit import SubmitConfig
from recache_ray.config.sweep import SweepConfig
from recache_ray.errors import BadInputError
from recache_ray.schedules import budget_unit, parse_budgets, split_budgets


@dataclass(frozen=True)
class Config:
    """Every knob of a run. Build it with :func:`load_config`."""

    run: RunConfig = section(RunConfig)
    model: ModelConfig = section(ModelConfig)
    mechanism: MechanismConfig = section(MechanismConfig)
    prompts: PromptsConfig = section(PromptsConfig)
    references: ReferencesConfig = section(ReferencesConfig)
    reward: RewardConfig = section(RewardConfig)
    policy: PolicyConfig = section(PolicyConfig)
    learning: LearningConfig = section(LearningConfig)
    runtime: RuntimeConfig = section(RuntimeConfig)
    tracking: TrackingConfig = section(TrackingConfig)
    evaluation: EvaluationConfig = section(EvaluationConfig)
    transfer: TransferConfig = section(TransferConfig)
    generate: GenerateConfig = section(GenerateConfig)
    export: ExportConfig = section(ExportConfig)
    bench: BenchConfig = section(BenchConfig)
    scale: ScaleConfig = section(ScaleConfig)
    sweep: SweepConfig = section(SweepConfig)
    results: ResultsConfig = section(ResultsConfig)
    plan: PlanConfig = section(PlanConfig)
    price: PriceConfig = section(PriceConfig)
    cluster: ClusterConfig = section(ClusterConfig)
    faults: FaultsConfig = section(FaultsConfig)
    submit: SubmitConfig = section(SubmitConfig)
    demo: DemoConfig = section(DemoConfig)
    serve: ServeConfig = section(ServeConfig)
    load: LoadConfig = section(LoadConfig)


def load_config(values: Mapping[str, Any], *, runs: bool = True) -> Config:
    """Build and cross-check a :class:`Config` from nested plain data.

    Args:
        values: what was composed.
        runs: whether the model is going to run; what only a run needs is not asked for otherwise.

    Raises:
        BadInputError: one line naming the dotted path, the value, the bound and the remedy.
    """
    config = from_mapping(Config, values)
    if config.model.kind not in EMBEDDED_KINDS and not config.model.path:
        raise BadInputError(f"model.path is empty: model.kind = {config.model.kind!r} needs a local folder or hub id")
    if config.mechanism.cut != "stack" and config.mechanism.kind in ("freqca", "delta", "dcta", "cache_dit"):
        raise BadInputError(
            f"mechanism.cut = {config.mechanism.cut!r}: mechanism.kind = {config.mechanism.kind!r} caches a stack of "
            "blocks; set mechanism.cut=stack"
        )
    if runs:
        _check_budgets(config)
        _check_files(config)
        _check_reward(config.reward, config.model.frames)
    if config.runtime.min_workers > config.runtime.num_workers:
        raise BadInputError(
            f"runtime.min_workers = {config.runtime.min_workers}: must be at most "
            f"runtime.num_workers = {config.runtime.num_workers}"
        )
    return config


def check_learnable(budgets: tuple[int, ...], given: str) -> None:
    """Refuse budgets there is nothing to learn for.

    Raises:
        BadInputError: if the smallest is 1.
    """
    if budgets and budgets[0] < 2:
        raise BadInputError(f"learning.budgets = {given!r}: budget 1 has a single schedule to offer; start at 2")


def _check_budgets(config: Config) -> None:
    """Check the form of all budgets, and the bounds of those that need no measured time."""
    for name, given in (
        ("learning.budgets", config.learning.budgets),
        ("evaluation.budgets", config.evaluation.budgets or config.learning.budgets),
        ("evaluation.gate_budgets", config.evaluation.gate_budgets or config.learning.budgets),
    ):
        parts = split_budgets(given)
        timeless = [part for part in parts if budget_unit(part, name=name) != "seconds"]
        if timeless or not parts:
            budgets = parse_budgets(timeless, config.model.num_steps, name=name)
            if name == "learning.budgets":
                check_learnable(budgets, given)


def _check_files(config: Config) -> None:
    if config.model.kind not in EMBEDDED_KINDS and not config.prompts.file:
        raise BadInputError(
            f"prompts.file is empty: model.kind = {config.model.kind!r} needs a file, one prompt a line"
        )


def _check_reward(section: RewardConfig, frames: int) -> None:
    if section.frames > frames:
        raise BadInputError(
            f"reward.frames = {section.frames}: a generation has model.frames = {frames}; must be at most {frames} "
            "(0 scores all)"
        )
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
