"""Simulated actors for a fleet: each a process, or all of them in one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.exceptions import ActorDiedError

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.outcome import Outcome
from recache_ray.distributed.rollout_actors import RolloutActors
from recache_ray.distributed.simulated.worker import SimulatedLife, make_simulated_worker
from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.types import PolicySnapshot, Task


class SimulatedProcesses:
    """Every actor a process; each successor of a preempted one loads for ``load.reload_s`` first."""

    def __init__(self, load: SimulatedLoad, num_steps: int, section: RuntimeConfig) -> None:
        self._load, self._num_steps, self._section = load, num_steps, section
        self._lives: Counter[str] = Counter()

    def start(self, name: str) -> Any:
        factory = partial(make_simulated_worker, self._load, self._lives[name], self._num_steps)
        self._lives[name] += 1
        return RolloutActors(factory, self._section).start(name)

    def kill(self, actor: Any) -> None:
        ray.kill(actor)

    def close(self) -> float:
        """Seconds that answers came late, which nobody could know here: 0."""
        return 0.0


class SharedProcess:
    """All actors in one process, which sleeps for each of them at the same time."""

    def __init__(self, load: SimulatedLoad, num_steps: int, actors: int) -> None:
        options = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": 2 * actors + 2}
        self._host: Any = ray.remote(SharedHost).options(**options).remote(load, num_steps)
        self._lives: Counter[str] = Counter()

    def start(self, name: str) -> Any:
        life = self._lives[name]
        self._lives[name] += 1
        host = self._host
        return Seat(
            ping=Method(partial(host.ping.remote)),
            start=Method(partial(host.start.remote, name, life)),
            run=Method(partial(host.run.remote, name)),
        )

    def kill(self, actor: Any) -> None:
        """Nothing to end: a successor takes the name."""

    def close(self) -> float:
        """End the process; returns the mean seconds an answer left later than it was due, which is not the pool's."""
        late_s = float(ray.get(self._host.mean_late_s.remote()))
        ray.kill(self._host)
        return late_s


@dataclass(frozen=True, slots=True)
class Method:
    """Something to call as ``method.remote(...)``."""

    call: Any

    def remote(self, *arguments: Any) -> Any:
        return self.call(*arguments)


@dataclass(frozen=True, slots=True)
class Seat:
    """An actor that shares its process: the methods a fleet calls on an actor."""

    ping: Method
    start: Method
    run: Method


class SharedHost:
    """The process of :class:`SharedProcess`: an asynchronous actor."""

    def __init__(self, load: SimulatedLoad, num_steps: int) -> None:
        self._load, self._num_steps = load, num_steps
        self._lives: dict[str, SimulatedLife] = {}
        self._answers, self._late_s = 0, 0.0

    async def ping(self) -> int:
        return 0

    async def start(self, name: str, life: int) -> Outcome:
        if life:
            await asyncio.sleep(self._load.reload_s)
        self._lives[name] = SimulatedLife(self._load, name, life, self._num_steps)
        return Outcome()

    async def run(self, name: str, task: Task, snapshot: PolicySnapshot | None) -> Any:
        group, due = self._lives[name].begin(task)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        self._answers += 1
        self._late_s += time.monotonic() - due
        # an error of Ray's that is returned is raised by ray.get just as the death of a process would be
        return ActorDiedError() if group is None else Outcome(value=group)

    async def mean_late_s(self) -> float:
        return self._late_s / max(1, self._answers)
