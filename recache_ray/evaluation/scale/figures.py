"""What was measured at one number of actors, and what follows for numbers nobody ran."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.evaluation.scale.watched_pool import Span, Window

TARGET_EFFICIENCY = 0.95
TARGET_CORE = 0.5


@dataclass(frozen=True, slots=True)
class ScalePoint:
    """One number of actors.

    Attributes:
        actors: simulated ones.
        shared: whether one process played all of them.
        seconds: measured.
        groups: received in that time.
        efficiency: seconds of finished tasks over those of actors that never wait, see :func:`efficiency`.
        core_share: CPU seconds of the learner's process a second; 1 is one core.
        group_ms: CPU milliseconds of that process per group.
        pool_ms: of them in the learner's thread inside the pool.
        learner_ms: of them in the learner's thread elsewhere: tasks, updates, checkpoints.
        sent_bytes: of a task with its snapshot.
        received_bytes: of a group.
        lag_mean, lag_p50, lag_p95, lag_max: policy updates between a group's policy and the learner's.
        dropped: groups left out as too old, over the whole run.
        lost: actors preempted over the whole run.
        updates: over the whole run.
        late_ms: how much later than due a simulated answer left; not the pool's doing, but in ``efficiency``.
    """

    actors: int
    shared: bool
    seconds: float
    groups: int
    efficiency: float
    core_share: float
    group_ms: float
    pool_ms: float
    learner_ms: float
    sent_bytes: float
    received_bytes: float
    lag_mean: float
    lag_p50: int
    lag_p95: int
    lag_max: int
    dropped: int
    lost: int
    updates: int
    late_ms: float

    @property
    def groups_per_s(self) -> float:
        return self.groups / self.seconds

    def to_json(self) -> dict[str, float | int | bool]:
        """All figures, plain values."""
        return {**asdict(self), "groups_per_s": self.groups_per_s}


def scale_point(
    actors: int,
    shared: bool,
    load: SimulatedLoad,
    window: Window,
    *,
    sent_bytes: Sequence[int],
    received_bytes: Sequence[int],
    dropped: int,
    lost: int,
    updates: int,
    late_s: float,
) -> ScalePoint:
    """The figures of a closed window."""
    begin, end = window.begin, window.end
    assert begin is not None and end is not None
    seconds, groups = end.wall_s - begin.wall_s, end.groups - begin.groups
    cpu_s, thread_s, pool_s = end.cpu_s - begin.cpu_s, end.thread_s - begin.thread_s, end.pool_s - begin.pool_s
    lags = sorted(window.lags)
    return ScalePoint(
        actors=actors,
        shared=shared,
        seconds=seconds,
        groups=groups,
        efficiency=efficiency(window.actors.values(), load),
        core_share=cpu_s / seconds,
        group_ms=1000 * cpu_s / groups,
        pool_ms=1000 * pool_s / groups,
        learner_ms=1000 * (thread_s - pool_s) / groups,
        sent_bytes=fmean(sent_bytes) if sent_bytes else 0.0,
        received_bytes=fmean(received_bytes) if received_bytes else 0.0,
        lag_mean=fmean(lags),
        lag_p50=quantile(lags, 0.5),
        lag_p95=quantile(lags, 0.95),
        lag_max=lags[-1],
        dropped=dropped,
        lost=lost,
        updates=updates,
        late_ms=1000 * late_s,
    )


def efficiency(spans: Iterable[Span], load: SimulatedLoad) -> float:
    """Finished work over that of actors which have their next task the moment they finish one; NaN without any.

    Each actor counts from its first result to its last, so that no task is cut. Time for work that a preemption threw
    away and time for loading the model again are taken off the ideal.
    """
    spans = list(spans)
    seconds = sum(span.end_s - span.begin_s for span in spans)
    return sum(span.busy_s for span in spans) / (seconds * load.ideal_busy_share) if seconds else math.nan


def quantile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least ``share`` of ``ordered`` do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class LearnerLoad:
    """CPU of the learner's process as a straight line over the rate of groups.

    Attributes:
        idle_share: of a core without any group.
        group_s: CPU seconds of each group.
    """

    idle_share: float
    group_s: float

    def saturates_at(self, load: SimulatedLoad) -> float:
        """The number of actors whose groups take one whole core; infinite where a group takes no time."""
        rate = (1 - self.idle_share) / self.group_s if self.group_s > 0 else math.inf
        return rate * load.ideal_task_s


def learner_load(points: Sequence[ScalePoint]) -> LearnerLoad:
    """Least squares over the points, none of them below zero; one point alone goes through the origin."""
    rates, shares = [point.groups_per_s for point in points], [point.core_share for point in points]
    mean_rate, mean_share = fmean(rates), fmean(shares)
    spread = sum((rate - mean_rate) ** 2 for rate in rates)
    if spread == 0:
        return LearnerLoad(0.0, mean_share / mean_rate)
    slope = sum((r - mean_rate) * (s - mean_share) for r, s in zip(rates, shares, strict=True)) / spread
    idle = mean_share - slope * mean_rate
    if idle < 0:
        return LearnerLoad(0.0, sum(r * s for r, s in zip(rates, shares, strict=True)) / sum(r * r for r in rates))
    return LearnerLoad(idle, slope)


def misses(points: Sequence[ScalePoint]) -> list[str]:
    """The targets not met, one line each."""
    found = []
    for point in points:
        if point.efficiency < TARGET_EFFICIENCY:
            found.append(f"{point.actors} actors: {point.efficiency:.1%} of the ideal throughput")
        if point.core_share >= TARGET_CORE:
            found.append(f"{point.actors} actors: the learner takes {point.core_share:.0%} of a core")
    return found
