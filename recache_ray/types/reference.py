"""The uncached generations that cached ones are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.types.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class ReferenceTask:
    """Make and store the uncached references (and prompt embeddings) of these requests."""

    task_id: int
    requests: tuple[GenerationRequest, ...]


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """A finished :class:`ReferenceTask`: how many references it wrote, and how long that took."""

    task_id: int
    written: int
    seconds: float
    worker: str = ""
