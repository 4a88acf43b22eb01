"""Prompts, and the store of the uncached generations made from them."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class PromptsConfig:
    """Prompts and their disjoint splits."""

    file: str = knob("", "text file with one prompt a line (UTF-8); empty means captions of the embedded model")
    num_train: int = knob(32, "prompts the policy learns from", ge=1)
    num_validation: int = knob(288, "prompts of which learning.num_judges choose between schedules", ge=1)
    num_test: int = knob(48, "prompts of the final table and of evaluate", ge=1)


@dataclass(frozen=True)
class ReferencesConfig:
    """The store of uncached generations."""

    dir: str = knob("references/default", "folder of the store; runs of the same model and T share it", required=True)
    requests_per_task: int = knob(4, "references one worker makes and stores at a time", ge=1, le=256)
