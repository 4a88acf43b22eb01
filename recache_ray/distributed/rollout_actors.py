"""Where the actors of a fleet come from: one Ray actor each, with the reservations of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import ray

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.rollout_host import RolloutHost, WorkerFactory


class ActorSource(Protocol):
    """Makes and ends actors that offer the methods of :class:`RolloutHost` through ``method.remote(...)``."""

    def start(self, name: str) -> Any:
        """A new actor of this name; it may have to wait for a place."""
        ...

    def kill(self, actor: Any) -> None:
        """End an actor; what it was doing is lost."""
        ...


class RolloutActors:
    """Ray actors around rollout workers. Ray neither restarts them nor tries their calls again: the fleet does.

    Args:
        factory: makes the worker inside each actor.
        section: the reservations.
    """

    def __init__(self, factory: WorkerFactory, section: RuntimeConfig) -> None:
        self._factory = factory
        self._section = section
        self._folder = str(Path.cwd())

    def start(self, name: str) -> Any:
        section = self._section
        return (
            ray.remote(RolloutHost)
            .options(
                num_cpus=section.cpus_per_worker,
                num_gpus=section.gpus_per_worker,
                max_restarts=0,
                max_task_retries=0,
            )
            .remote(self._factory, name, section.gpus_per_worker == 0, self._folder)
        )

    def kill(self, actor: Any) -> None:
        ray.kill(actor)
