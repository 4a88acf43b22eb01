"""Seconds and FLOPs of a step as they were measured for a run: by ``bench step`` beforehand or by the training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recache_ray.build.architecture import model_name
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.config.root import Config
from recache_ray.diffusion.cost import StepCost
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec

STEP_COST_FILE = "step_cost.json"
_FILES = (STEP_COST_FILE, "schedules.json")


@dataclass(frozen=True, slots=True)
class MeasuredCost:
    """Costs of one sibling's step and the device they were measured on."""

    step: StepCost
    device: str


def measured_cost(config: Config) -> MeasuredCost | None:
    """What is recorded in ``run.dir`` for this model, size, T, dtype and mechanism; ``bench step`` comes first.

    Raises:
        BadInputError: if a file is damaged.
    """
    for name in _FILES:
        path = Path(config.run.dir) / name
        if not path.is_file():
            continue
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document.get("cost") and _describes(document, config):
                cost = {each: float(document["cost"][each]) for each in StepCost.__slots__}
                return MeasuredCost(StepCost(**cost), str(document["model"]["device"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInputError(
                f"{path}: cannot be read ({error!r}); measure again: recache bench step run.dir={config.run.dir}"
            ) from error
    return None


def write_measured_cost(
    folder: Path, model: Mapping[str, Any], mechanism: MechanismSpec, cost: StepCost, facts: Mapping[str, str | int]
) -> Path:
    """Write ``step_cost.json`` atomically; returns its path."""
    document = {
        "schema_version": 1,
        "model": dict(model),
        "mechanism": {"id": mechanism.id},
        "cost": asdict(cost),
        "provenance": dict(facts),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / STEP_COST_FILE, folder / f".{STEP_COST_FILE}.partial"
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def _describes(document: Mapping[str, Any], config: Config) -> bool:
    model, section = document["model"], config.model
    wanted = {
        "id": model_name(section),
        "num_steps": section.num_steps,
        "height": section.height,
        "width": section.width,
        "frames": section.frames,
        "dtype": section.dtype,
    }
    same_mechanism = document["mechanism"]["id"] == mechanism_spec(config).id
    return same_mechanism and all(model[name] == value for name, value in wanted.items())
