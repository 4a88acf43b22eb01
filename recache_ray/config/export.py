"""Schedules for servers."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class ExportConfig:
    """A schedule for a server, and the proof that the server runs it."""

    to: str = knob(
        "cache-dit", "format of the file, one of those in docs/export.md, or hub: a folder to share", required=True
    )
    budget: int | str = knob(6, "computed steps k, or x3, 30%, 250ms")
    output: str = knob("", "folder or file to write; empty means run.dir/export")
    mechanism: str = knob("", "forecast of cached steps, for example reuse; empty means the one learned with")
    file: str = knob("", "an exported file to verify; empty means the one in run.dir/export")
