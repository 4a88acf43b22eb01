"""How much was run to find schedules, which a fair comparison states."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Work of all workers together; works add up.

    Attributes:
        generations: pictures generated, one per request and schedule.
        forwards_requested: transformer forwards one pipeline call per schedule would have taken.
        forwards_executed: those that ran.
        seconds: worker time.
    """

    generations: int = 0
    forwards_requested: int = 0
    forwards_executed: int = 0
    seconds: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.generations + other.generations,
            self.forwards_requested + other.forwards_requested,
            self.forwards_executed + other.forwards_executed,
            self.seconds + other.seconds,
        )
