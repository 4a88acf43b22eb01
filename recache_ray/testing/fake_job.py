"""A resumable job for the learner actor: it counts to ten in a file. Imports no torch."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.run_lock import run_lock

TARGET = 10


class OddBudgetError(BadInputError):
    """An error whose constructor takes something else than its message, as some of ours do."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        super().__init__(f"budget = {budget}: must be even")


@dataclass(frozen=True)
class CountingJob:
    """Counts from where the file ``count`` stands; each number is reported and takes ``delay_s``.

    Attributes:
        behaviour: ``odd budget``, ``full disk`` and ``defect`` raise at five; ``die once`` and ``die`` kill the process
            there; ``deaf`` ignores the request to stop.
    """

    folder: str
    behaviour: str = ""
    delay_s: float = 0.02

    def run(self, report: Callable[[Any], None], stop: threading.Event) -> dict[str, Any]:
        path = Path(self.folder) / "count"
        begun = count = int(path.read_text(encoding="utf-8")) if path.exists() else 0
        while count < TARGET:
            if self.behaviour == "deaf":
                time.sleep(self.delay_s)
            elif stop.wait(self.delay_s):
                return {"interrupted": True, "count": count}
            count += 1
            if count == 5:
                self._misbehave(resumed=begun > 0)
            path.write_text(str(count), encoding="utf-8")
            report({"done": count, "process": os.getpid()})
        return {"interrupted": False, "count": count}

    def _misbehave(self, resumed: bool) -> None:
        match self.behaviour:
            case "odd budget":
                raise OddBudgetError(5)
            case "full disk":
                raise RunFailedError("run.dir = /full: no space left; free some")
            case "defect":
                raise IndexError("list index out of range")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "die once":
                if not resumed:
                    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class LockedJob:
    """Holds the lock of a run folder and sleeps, having written its process id to the file ``running`` there."""

    folder: str
    seconds: float

    def run(self, report: Callable[[Any], None], stop: threading.Event) -> str:
        with run_lock(self.folder, on_status=report):
            report("locked")
            (Path(self.folder) / "running").write_text(str(os.getpid()), encoding="utf-8")
            stop.wait(self.seconds)
        return "done"
