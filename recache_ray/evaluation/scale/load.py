"""What simulated actors do with their time, and the most that a perfect scheduler could get out of them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from recache_ray.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class SimulatedLoad:
    """Tasks of gamma distributed length, actors with exponentially distributed lives.

    Attributes:
        mean_s: mean seconds of a task.
        cv: their standard deviation over the mean; 0 makes all alike.
        preemptions_per_hour: of one actor.
        reload_s: seconds until its successor can work.
        seed: of all of it.
    """

    mean_s: float
    cv: float
    preemptions_per_hour: float = 0.0
    reload_s: float = 0.0
    seed: int = 0

    def duration_s(self, task_id: int) -> float:
        """Of a task: the same whoever runs it and however often."""
        if self.cv == 0:
            return self.mean_s
        generator = random.Random(derive_seed("duration", self.seed, task_id))
        return generator.gammavariate(1 / self.cv**2, self.mean_s * self.cv**2)

    def lifetime_s(self, actor: str, life: int) -> float:
        """How long the ``life``-th actor of a name lasts."""
        if self.preemptions_per_hour == 0:
            return float("inf")
        generator = random.Random(derive_seed("life", self.seed, actor, life))
        return generator.expovariate(self.preemptions_per_hour / 3600)

    @property
    def ideal_task_s(self) -> float:
        """Mean seconds of an actor per finished task if it never waits.

        A preempted task starts again on another actor, with the same length D, so with a rate r of preemptions it takes
        (exp(r D) - 1) / r of working time in the mean, and each of its preemptions costs a reload besides:
        E[exp(r D) - 1] (1/r + reload), the expectation over a gamma distribution being (1 - r mean cv^2)^(-1/cv^2) - 1.
        Infinite where the longest tasks never end.
        """
        rate = self.preemptions_per_hour / 3600
        if rate == 0:
            return self.mean_s
        spread = rate * self.mean_s * self.cv**2
        if spread >= 1:
            return float("inf")
        return (_growth(rate * self.mean_s, self.cv) - 1) * (1 / rate + self.reload_s)

    @property
    def ideal_busy_share(self) -> float:
        """Share of an actor's time that goes into tasks it finishes, if it never waits."""
        return self.mean_s / self.ideal_task_s


def _growth(mean: float, cv: float) -> float:
    """E[exp X] of a gamma distributed X, or of a constant."""
    return math.exp(mean) if cv == 0 else (1 - mean * cv**2) ** (-1 / cv**2)
