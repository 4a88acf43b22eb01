"""A pool that is watched from the learner's side: when results came, what they were worth, what CPU it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import PolicySnapshot, RolloutGroup, Task, TaskResult

_SAMPLE_EVERY = 61
_SAMPLES = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """Totals at the moment results arrived.

    Attributes:
        wall_s: monotonic time.
        cpu_s: CPU of the whole process, Ray's threads included.
        thread_s: CPU of the learner's own thread.
        pool_s: the part of ``thread_s`` that was spent inside the pool.
        groups: groups received.
    """

    wall_s: float
    cpu_s: float
    thread_s: float
    pool_s: float
    groups: int


@dataclass
class Span:
    """The time of one actor between two of its results, in which it finished work of ``busy_s``."""

    begin_s: float
    end_s: float
    busy_s: float = 0.0


@dataclass
class Window:
    """What was seen from the first results after the warm-up to the last ones in time.

    Attributes:
        begin, end: the marks around it; None until it began.
        lags: updates between the policy of a group and that of the learner when it came, of every group in it.
        actors: what each actor did from its first result in the window to its last.
    """

    begin: Mark | None = None
    end: Mark | None = None
    lags: list[int] = field(default_factory=list)
    actors: dict[str, Span] = field(default_factory=dict)


class WatchedPool:
    """Passes everything through, and sets ``stop`` when the time is over.

    Args:
        pool: the pool to watch.
        warmup_s: seconds from the first result until the window opens.
        seconds: until it closes.
        stop: told then.
        version: the learner's number of updates, asked when results come.

    Attributes:
        window: what was seen.
        sent: some of the tasks, each with its snapshot.
        received: some of the results.
    """

    def __init__(
        self, pool: RolloutPool, warmup_s: float, seconds: float, stop: threading.Event, version: Callable[[], int]
    ) -> None:
        self._pool, self._warmup_s, self._seconds, self._stop, self._version = pool, warmup_s, seconds, stop, version
        self._pool_s = 0.0
        self._groups = self._sent = 0
        self._opens_at = float("inf")
        self.window = Window()
        self.sent: list[tuple[Task, PolicySnapshot | None]] = []
        self.received: list[RolloutGroup] = []

    @property
    def capacity(self) -> int:
        return self._pool.capacity

    @property
    def in_flight(self) -> int:
        return self._pool.in_flight

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        before_s = time.thread_time()
        self._pool.submit(task, snapshot)
        self._pool_s += time.thread_time() - before_s
        self._sent += 1
        if self._sent % _SAMPLE_EVERY == 1:
            self.sent = [*self.sent, (task, snapshot)][-_SAMPLES:]

    def collect(self, timeout_s: float | None = None) -> Sequence[TaskResult]:
        before_s = time.thread_time()
        results = self._pool.collect(timeout_s)
        self._pool_s += time.thread_time() - before_s
        groups = [result for result in results if isinstance(result, RolloutGroup)]
        if groups:
            self._count(groups)
        return results

    def close(self) -> None:
        self._pool.close()

    def _count(self, groups: Sequence[RolloutGroup]) -> None:
        now = time.monotonic()
        self._groups += len(groups)
        mark = Mark(now, time.process_time(), time.thread_time(), self._pool_s, self._groups)
        if self._opens_at == float("inf"):
            self._opens_at = now + self._warmup_s
        if now < self._opens_at:
            return
        window = self.window
        if window.begin is None:
            window.begin = mark
            return
        if now > self._opens_at + self._seconds and window.end is not None:
            self._stop.set()
            return
        window.end = mark
        for group in groups:
            span = window.actors.setdefault(group.worker, Span(now, now))
            if span.begin_s < now:
                span.end_s, span.busy_s = now, span.busy_s + group.seconds
        window.lags += [self._version() - group.policy_version for group in groups]
        if not self.received or self._groups % _SAMPLE_EVERY < len(groups):
            self.received = [*self.received, groups[0]][-_SAMPLES:]
