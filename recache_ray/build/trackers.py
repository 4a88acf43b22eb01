"""The trackers of a run: metrics.jsonl always, MLflow where asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.tracking.base import Tracker
from recache_ray.tracking.composite import CompositeTracker
from recache_ray.tracking.jsonl import JsonlTracker, read_metrics


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
    folder = Path(config.run.dir)
    jsonl = JsonlTracker(folder / "metrics.jsonl")
    jsonl.resume_from(resumed_update or 0)
    if not config.tracking.mlflow:
        return OpenedTracker(jsonl, lambda: None)
    from recache_ray.tracking.mlflow_tracker import MlflowTracker

    mlflow = MlflowTracker(config.tracking, folder, {"mechanism": config.mechanism.kind, **facts})
    if resumed_update is None:
        mlflow.log_params(flat(to_mapping(config)))
    else:
        mlflow.replay(read_metrics(folder / "metrics.jsonl"))
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
