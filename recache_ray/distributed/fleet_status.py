"""What a person is told who waits for rollout actors: how many have a place, what the rest wait for, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """A fleet at one moment.

    Attributes:
        slots: actors asked for, the sum of the next four.
        ready: actors that run or could run a task.
        loading: actors that load the model.
        waiting: actors without a place.
        lost: actors about to be replaced.
        waited_s: how long the first of the waiting has waited.
        reservation: what each actor asks for, for example ``{"GPU": 1.0}``; zeros are left out of texts.
        cluster: what the nodes of the cluster have of it.
        launches: what an autoscaler is doing about it; empty where that is not known.
    """

    slots: int
    ready: int
    loading: int
    waiting: int
    lost: int
    waited_s: float
    reservation: Mapping[str, float]
    cluster: Mapping[str, float]
    launches: str = ""

    def line(self) -> str:
        """``asked 8 GPUs, 4 joined, 4 pending for 3 min: rollouts 4/8 ready, 4 wait for GPU:1; cluster has 4 GPUs``."""
        asked = {name: each for name, each in self.reservation.items() if each}
        parts = [f"rollouts {self.ready}/{self.slots} ready"]
        if self.loading:
            parts.append(f"{self.loading} load the model")
        if self.waiting:
            wants = " ".join(f"{name}:{each:g}" for name, each in asked.items()) or "a process"
            parts.append(f"{self.waiting} wait for {wants}")
        if self.lost:
            parts.append(f"{self.lost} were lost")
        text = ", ".join(parts)
        if self.waiting and asked:
            name, each = next(iter(asked.items()))
            placed = (self.slots - self.waiting) * each
            text = (
                f"asked {self.slots * each:g} {name}s, {placed:g} joined, {self.waiting * each:g} pending for "
                f"{duration(self.waited_s)}: {text}"
            )
        if asked:
            text += "; cluster has " + " ".join(f"{self.cluster.get(name, 0.0):g} {name}s" for name in asked)
        return f"{text}; {self.launches}" if self.launches else text

    def remedy(self) -> str:
        """What to change when it took too long."""
        if not self.waiting or not any(self.reservation.values()):
            return "raise runtime.startup_timeout_s if starting takes longer here"
        name = "gpus_per_worker" if self.reservation.get("GPU") else "cpus_per_worker"
        return f"start nodes that have them, or lower runtime.{name} or runtime.min_workers"


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``2 h 5 min``; rounded down."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{rest} s"
