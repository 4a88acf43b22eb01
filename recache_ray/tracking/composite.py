"""Several trackers as one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recache_ray.tracking.base import Tracker

_LOGGER = logging.getLogger(__name__)


class CompositeTracker:
    """Passes every call to each tracker in turn. One that raises is reported once and never stops the others.

    Example: ``CompositeTracker([JsonlTracker(path), mlflow_tracker])``.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)
        self._reported: set[int] = set()

    @property
    def run_id(self) -> str:
        """The first run id a tracker has."""
        return next((tracker.run_id for tracker in self._trackers if tracker.run_id), "")

    def log_params(self, params: Mapping[str, object]) -> None:
        self._each(lambda tracker: tracker.log_params(params))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._each(lambda tracker: tracker.log_metrics(metrics, step))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        self._each(lambda tracker: tracker.log_artifact(path, folder))

    def close(self, status: str = "FINISHED") -> None:
        self._each(lambda tracker: tracker.close(status))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for position, tracker in enumerate(self._trackers):
            try:
                call(tracker)
            except Exception as error:
                if position not in self._reported:
                    self._reported.add(position)
                    _LOGGER.warning("%s stopped recording, the run goes on: %s", type(tracker).__name__, error)
