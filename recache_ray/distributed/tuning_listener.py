"""What a search tells the process that started it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

UPDATES = "updates"
"""The metric that counts a training's updates."""


class Listener(Protocol):
    """Told, in the process that searches, what becomes of the trainings."""

    def started(self, name: str, values: Mapping[str, Any]) -> None:
        """A training begins, or goes on after the search was interrupted."""
        ...

    def reported(self, name: str, updates: int, metrics: Mapping[str, float]) -> None:
        """A training got so far."""
        ...

    def ended(self, name: str, status: str) -> None:
        """FINISHED, which stopping early is too, or FAILED."""
        ...
