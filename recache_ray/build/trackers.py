"""The trackers of a run: metrics.jsonl always, MLflow where asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.tracking.base import Tracker
from recache_ray.tracking.composite import CompositeTracker
from recache_ray.tracking.jsonl import JsonlTracker, read_metrics
from recache_ray.types import MechanismSpec


@dataclass(frozen=True)
class OpenedTracker:
    """A tracker that may still be starting up beside other work; :meth:`confirm` waits and says what is wrong."""

    tracker: Tracker
    confirm: Callable[[], object]


def open_tracker(config: Config, resumed_update: int | None, facts: Mapping[str, object]) -> OpenedTracker:
    """Open what records a run, continuing it after ``resumed_update`` (None for a new run).

    Raises:
        BadInputError: if metrics.jsonl cannot be written; from ``confirm`` if MLflow cannot be used.
    """
    jsonl = JsonlTracker(Path(config.run.dir) / "metrics.jsonl")
    jsonl.resume_from(resumed_update or 0)
    return _beside(jsonl, config, facts, replay=resumed_update is not None)


def reopen_tracker(config: Config, facts: Mapping[str, object]) -> OpenedTracker:
    """Open the record of a finished run to evaluate it again; ``confirm`` forgets the evaluation it holds, no more.

    Where MLflow does not know the run, as on another server than it was trained with, it gets all of it.

    Raises:
        BadInputError: as :func:`open_tracker`.
    """
    jsonl = JsonlTracker(Path(config.run.dir) / "metrics.jsonl")
    opened = _beside(jsonl, config, facts, replay=True)

    def confirm() -> None:
        opened.confirm()
        jsonl.resume_from(None)

    return OpenedTracker(opened.tracker, confirm)


def _beside(jsonl: JsonlTracker, config: Config, facts: Mapping[str, object], *, replay: bool) -> OpenedTracker:
    """MLflow beside ``jsonl`` where asked; what it holds already is not sent again."""
    if not config.tracking.mlflow:
        return OpenedTracker(jsonl, lambda: None)
    from recache_ray.tracking.mlflow_tracker import MlflowTracker

    folder, asked = Path(config.run.dir), config.tracking
    mechanism = MechanismSpec(config.mechanism.kind, config.mechanism.order, config.mechanism.cut).id
    section = replace(
        asked,
        experiment=asked.experiment or f"recache_ray/{config.model.path or config.model.kind}",
        run_name=asked.run_name or (mechanism if asked.study else ""),
    )
    mlflow = MlflowTracker(section, folder, {"mechanism": mechanism, **facts})
    mlflow.log_params(flat(to_mapping(config)))
    if replay:
        mlflow.replay(line for line in read_metrics(folder / "metrics.jsonl") if not line.is_evaluation)
    return OpenedTracker(CompositeTracker([jsonl, mlflow]), mlflow.wait_until_started)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested settings under dotted names."""
    pairs: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs |= flat(value, f"{prefix}{name}.")
        else:
            pairs[f"{prefix}{name}"] = value
    return pairs
