"""What a run reports while it goes on, and what it ends with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from recache_ray.schedules import ScheduleTable
from recache_ray.types import RolloutGroup

Phase: TypeAlias = Literal[
    "references", "learn", "screen", "polish", "confirm", "calibrate", "search", "evaluate", "tables", "bench"
]


class Interrupted(Exception):
    """A stop was asked for; raised where progress is reported."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of progress.

    Attributes:
        phase: ``learn`` counts updates, ``screen`` prompts, ``polish``, ``confirm``, ``search`` and ``tables``
            evaluations, the others tasks.
        reward: mean reward of the last update or, while polishing and confirming, of the best schedules so far.
        lpips: the same for LPIPS; NaN where the reward does not measure it.
        lag: mean policy lag of the last update's groups.
        forwards_saved: share of transformer forwards saved since this process started.
        eta_s: seconds this phase still takes at the pace so far; NaN before there is one.
    """

    phase: Phase
    done: int
    total: int
    reward: float
    lpips: float
    lag: float
    forwards_saved: float
    eta_s: float


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """How :meth:`TrainingLoop.run` ended.

    Attributes:
        table: the schedule of every budget; None when the run was interrupted, with a checkpoint written.
        updates: policy updates applied over the whole run, including before a resume.
        evaluations: distinct rewards measured over the whole run.
        failures: tasks that gave no result.
    """

    table: ScheduleTable | None
    updates: int
    evaluations: int
    failures: int

    @property
    def interrupted(self) -> bool:
        return self.table is None


def work_metrics(groups: Sequence[RolloutGroup]) -> dict[str, float]:
    """What these groups took, for the record of the run: ``work/`` generations, forwards and worker seconds."""
    return {
        "work/generations": float(sum(group.evaluations for group in groups)),
        "work/forwards_requested": float(sum(group.forwards_requested for group in groups)),
        "work/forwards_executed": float(sum(group.forwards_executed for group in groups)),
        "work/seconds": sum(group.seconds for group in groups),
    }


class ProgressMeter:
    """Turns counts and metrics into :class:`Progress` for a listener."""

    def __init__(self, listener: Callable[[Progress], None] | None) -> None:
        self._listener = listener
        self._requested = self._executed = 0
        self._started: dict[str, tuple[float, int]] = {}

    def count(self, groups: Sequence[RolloutGroup]) -> None:
        """Add the forwards of finished groups."""
        self._requested += sum(group.forwards_requested for group in groups)
        self._executed += sum(group.forwards_executed for group in groups)

    @property
    def forwards_saved(self) -> float:
        """1 - executed / requested, of the groups counted so far."""
        return 1.0 - self._executed / self._requested if self._requested else 0.0

    def begin(self, phase: Phase, done: int) -> None:
        """Start the clock of a phase at ``done`` units, those of an earlier process included."""
        self._started[phase] = time.monotonic(), done

    def report(self, phase: Phase, done: int, total: int, metrics: Mapping[str, float]) -> None:
        """Tell the listener; ``metrics`` are those of an update or of a polishing round."""
        if self._listener is None:
            return
        started, done_before = self._started[phase]
        pace = (done - done_before) / max(1e-9, time.monotonic() - started)
        names = ("reward/mean", "reward/lpips/mean") if phase == "learn" else (f"{phase}/reward", f"{phase}/lpips")
        self._listener(
            Progress(
                phase=phase,
                done=done,
                total=total,
                reward=metrics.get(names[0], math.nan),
                lpips=metrics.get(names[1], math.nan),
                lag=metrics.get("policy/lag", 0.0),
                forwards_saved=self.forwards_saved,
                eta_s=(total - done) / pace if pace > 0 else math.nan,
            )
        )
