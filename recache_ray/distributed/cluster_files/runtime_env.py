"""The runtime environment of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ray.runtime_env import RuntimeEnv

_FIELDS = frozenset(RuntimeEnv.known_fields)


def is_runtime_env(document: Mapping[str, Any]) -> bool:
    """Whether it holds a field of a runtime environment."""
    return bool(_FIELDS & set(map(str, document)))


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """What Ray refuses, the fields it would ignore, and what should not be installed job by job."""
    for name in sorted(set(map(str, document)) - _FIELDS):
        yield f"{name}: not a field of a runtime environment; known are {', '.join(sorted(_FIELDS))}"
        return
    try:
        RuntimeEnv(**{str(name): value for name, value in document.items()})
    except Exception as error:
        yield f"refused by Ray: {' '.join(str(error).split())[:300]}"
    for name in ("pip", "uv", "conda"):
        if name in document:
            yield (
                f"{name}: every node would install again, at whatever versions are newest then; "
                "put packages into setup_commands or the image"
            )
