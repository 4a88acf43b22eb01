"""Ray's many-line messages in one."""

from __future__ import annotations

from ray.exceptions import RayError

from recache_ray.distributed.outcome import one_line


def cause(error: RayError) -> str:
    """Class and the telling part of the message, for example how the worker process ended."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "exit type" in line or ("node" in line.lower() and "died" in line)]
    return f"{type(error).__name__}: {telling[0]}"[:300] if telling else one_line(error)
