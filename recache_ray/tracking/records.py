"""What a tracking server is sent, one record at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Point:
    """A metric at a step, measured at ``time_s`` seconds since 1970."""

    name: str
    value: float
    step: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class File:
    """A finished file and the folder to keep it under."""

    path: Path
    folder: str


Record = Point | Param | File

BATCH_SIZE: dict[type[Record], int] = {Point: 1000, Param: 100, File: 1}
"""The most records of one kind that MLflow takes at a time."""
