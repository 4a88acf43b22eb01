"""What the learner actor's process runs: one job, with its progress kept until asked for. It knows nothing of Ray."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from recache_ray.distributed.outcome import Outcome, capture

Report = Callable[[Any], None]


class Job(Protocol):
    """A long piece of work that reports progress and can be asked to end early."""

    def run(self, report: Report, stop: threading.Event) -> Any:
        """Do it; what is reported and returned must be picklable. Once ``stop`` is set, end soon, resumably."""
        ...


JobFactory = Callable[[], Job]
"""Makes the job in the process that runs it; must be picklable (``functools.partial``)."""


class LearnerHost:
    """Builds and runs a job in one thread while others answer :meth:`drain` and :meth:`request_stop`."""

    def __init__(self, job_factory: JobFactory, folder: str) -> None:
        if Path(folder).is_dir():
            os.chdir(folder)
        self._factory = job_factory
        self._events: deque[Any] = deque()
        self._stop = threading.Event()

    def run(self) -> Outcome:
        """Run the job to its end; its result or its error as data."""
        return capture(lambda: self._factory().run(self._events.append, self._stop))

    def drain(self) -> list[Any]:
        """What was reported since the last call, in order."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def request_stop(self) -> None:
        """Ask the job to end early."""
        self._stop.set()
