"""Records the trainings of a search: a line of progress for each, and one nested MLflow run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from recache_ray.build.progress import OnProgress
from recache_ray.build.trackers import OpenedTracker, open_tracker
from recache_ray.build.tune_trial import SCORE
from recache_ray.config.root import Config
from recache_ray.tracking.jsonl import read_metrics
from recache_ray.tracking.provenance import provenance


class TrialTracking:
    """The listener of a search. It alone writes to MLflow, so that no database is shared by many processes.

    Each training has a folder with ``metrics.jsonl`` under ``run.dir/trials`` and, in MLflow, a run below one parent,
    named by ``tracking.study`` or the folder of the search. A run ends as FINISHED, also when the training was stopped
    early as hopeless, as FAILED, or as KILLED when the search was interrupted; going on opens it again.

    Args:
        config: of the search.
        folder: of the search.
        stage: names it in lines of progress and in MLflow.
        total: trainings there will be.
        on_progress: told of every training that ends.
    """

    def __init__(self, config: Config, folder: Path, stage: str, total: int, on_progress: OnProgress) -> None:
        self._folder, self._stage, self._total, self._on_progress = folder, stage, total, on_progress
        tracking = config.tracking
        self._config = replace(
            config,
            tracking=replace(
                tracking,
                mlflow_uri=tracking.mlflow_uri or f"sqlite:///{folder.resolve() / 'mlflow.db'}",
                study=tracking.study or f"tune {folder.resolve().name}",
            ),
        )
        self._facts = provenance(config.run.seed)
        self._open: dict[str, OpenedTracker] = {}
        self._seen: dict[str, int] = {}
        self._values: dict[str, Mapping[str, Any]] = {}
        self._last: dict[str, tuple[int, float]] = {}
        self._confirmed = False
        # counted on from before an interruption
        self._done = sum(1 for _ in folder.glob(f"trials/*/{stage}.ended"))

    def __enter__(self) -> TrialTracking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._open):
            self._open.pop(name).tracker.close("KILLED")

    def started(self, name: str, values: Mapping[str, Any]) -> None:
        """Open the record of a training, or go on with it."""
        if name in self._open:
            return
        folder = self._folder / "trials" / name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "metrics.jsonl"
        seen = max((line.step for line in read_metrics(file)), default=0) if file.exists() else None
        tracking = replace(self._config.tracking, run_name=f"{self._stage} {name}")
        config = replace(self._config, run=replace(self._config.run, dir=str(folder)), tracking=tracking)
        opened = open_tracker(config, seen, {**self._facts, "stage": self._stage})
        if not self._confirmed:
            self._confirmed = True
            opened.confirm()  # the first one, before hours are spent: later ones use the same server
        opened.tracker.log_params({f"searched/{setting}": value for setting, value in values.items()})
        self._open[name], self._seen[name], self._values[name] = opened, seen or 0, values

    def reported(self, name: str, updates: int, metrics: Mapping[str, float]) -> None:
        """Log what is not logged yet."""
        self._last[name] = updates, metrics.get(SCORE, float("nan"))
        if updates > self._seen[name]:
            self._seen[name] = updates
            finite = {metric: value for metric, value in metrics.items() if value == value}
            self._open[name].tracker.log_metrics({f"tune/{metric}": value for metric, value in finite.items()}, updates)

    def ended(self, name: str, status: str) -> None:
        """Close the record and say how the training did."""
        if name not in self._open:
            return
        self._open.pop(name).tracker.close(status)
        (self._folder / "trials" / name / f"{self._stage}.ended").touch()
        self._done += 1
        updates, score = self._last.get(name, (0, float("nan")))
        shown = ", ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in self._values[name].items())
        outcome = f"score {score:.4f} after {updates} updates" if status == "FINISHED" else "failed"
        self._on_progress(f"{self._stage} {self._done}/{self._total}  {outcome}  ({shown})")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
