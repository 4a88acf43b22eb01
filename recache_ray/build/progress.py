"""Progress records of the phases that are not learning itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event

from recache_ray.learning.progress import Interrupted, Phase, Progress

OnProgress = Callable[[Progress | str], None]
"""Receives a progress record, or a line of text worth showing by itself."""


def heeding(stop: Event, report: OnProgress) -> OnProgress:
    """``report`` that ends what reports by :class:`Interrupted` once ``stop`` is set."""

    def heed(progress: Progress | str) -> None:
        report(progress)
        if stop.is_set():
            raise Interrupted

    return heed


def phase_listener(phase: Phase, on_progress: OnProgress) -> Callable[[str, int, int], None]:
    """Turns (what, done, in all) into progress records of ``phase``, with a clock for each ``what``."""
    clocks: dict[str, PhaseClock] = {}

    def listen(what: str, done: int, total: int) -> None:
        on_progress(clocks.setdefault(what, PhaseClock(phase, total)).at(done))

    return listen


class PhaseClock:
    """Counts a phase's work and says how long the rest will take at the pace so far."""

    def __init__(self, phase: Phase, total: int) -> None:
        self._phase: Phase = phase
        self._total = total
        self._started_s = time.monotonic()

    def at(self, done: int) -> Progress:
        """The record for ``done`` of the total."""
        elapsed_s = time.monotonic() - self._started_s
        eta_s = elapsed_s / done * (self._total - done) if done else math.nan
        return Progress(
            phase=self._phase,
            done=done,
            total=self._total,
            reward=math.nan,
            lpips=math.nan,
            lag=math.nan,
            forwards_saved=math.nan,
            eta_s=eta_s,
        )
