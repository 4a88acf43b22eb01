"""The tracker interface. Only the process that owns the learner logs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    """Receives what a run wants remembered. A tracker must start properly; once running it never ends the run."""

    @property
    def run_id(self) -> str:
        """Identifier to resume under; empty where the tracker has none."""
        ...

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record flat, dotted parameters once."""
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics such as ``reward/lpips/mean`` at a step (update number; budget for ``eval/...``)."""
        ...

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a finished file."""
        ...

    def close(self, status: str = "FINISHED") -> None:
        """End the record: FINISHED, FAILED or KILLED."""
        ...
