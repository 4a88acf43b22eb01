"""Picture engines in processes of their own, apart from the one that speaks HTTP.

They load their models while Ray Serve is still starting, the loop that reads requests never waits for a model's Python,
and an engine whose process is lost, for example to a CUDA error, is made anew while the server goes on answering.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ray

from recache_ray.config.serving import ServeConfig
from recache_ray.errors import RecacheError
from recache_ray.serving.request import PictureRequest

if TYPE_CHECKING:
    from recache_ray.serving.drawn_picture import DrawnPicture
    from recache_ray.serving.engine import PictureEngine


class EngineHost:
    """One engine; calls take turns."""

    def __init__(self, make_engine: Callable[[], PictureEngine]) -> None:
        self._engine = make_engine()

    def draw(self, requests: Sequence[PictureRequest]) -> list[DrawnPicture | RecacheError]:
        """See :meth:`PictureEngine.draw`."""
        return self._engine.draw(requests)

    def wait(self) -> None:
        """Return once the model is loaded."""


def start_hosts(make_engine: Callable[[], PictureEngine], section: ServeConfig) -> list[Any]:
    """Begin to load ``section.replicas`` engines, each with the resources of a replica, and return their actors."""
    host = ray.remote(EngineHost).options(
        num_cpus=section.cpus_per_replica, num_gpus=section.gpus_per_replica, max_restarts=-1
    )
    return [host.remote(make_engine) for _ in range(section.replicas)]


class HostedEngines:
    """Draws like a :class:`PictureEngine`, on one of several hosts at a time.

    Args:
        hosts: as from :func:`start_hosts`; waited for.

    Raises:
        RayActorError: if an engine cannot be made.
    """

    def __init__(self, hosts: Sequence[Any]) -> None:
        self._hosts = tuple(hosts)
        ray.get([host.wait.remote() for host in self._hosts])
        # every replica begins elsewhere, so that they do not all wait for the first
        self._turn = itertools.count(random.randrange(len(self._hosts)))

    def draw(self, requests: Sequence[PictureRequest]) -> list[DrawnPicture | RecacheError]:
        """See :meth:`PictureEngine.draw`.

        Raises:
            RayActorError: if the engine's process is lost, or not back yet.
        """
        host = self._hosts[next(self._turn) % len(self._hosts)]
        drawn: list[DrawnPicture | RecacheError] = ray.get(host.draw.remote(requests))
        return drawn
