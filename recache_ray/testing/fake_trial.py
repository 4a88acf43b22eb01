"""A training of a search without a model, importable on Ray workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

UPDATES = (2, 4, 6, 8)


def run_fake_trial(values: Mapping[str, Any], name: str, report: Callable[[int, Mapping[str, float]], None]) -> None:
    """Report a score that grows with the updates and is highest at ``rate`` = 0.3."""
    for updates in UPDATES:
        report(updates, {"score": updates / UPDATES[-1] - (values["rate"] - 0.3) ** 2})
