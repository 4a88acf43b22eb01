"""What a calibration cost, which a fair comparison of search methods states."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CalibrationCost:
    """Work of all workers together.

    Attributes:
        generations: pictures generated, one per request and schedule.
        forwards_requested: transformer forwards one pipeline call per schedule would have taken.
        forwards_executed: those that ran.
        seconds: worker time.
    """

    generations: int
    forwards_requested: int
    forwards_executed: int
    seconds: float
