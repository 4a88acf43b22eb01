"""Settings of the verb ``submit``."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class SubmitConfig:
    """A training as a job of a Ray cluster."""

    server: str = knob(
        "",
        "job server, http://host:port; empty means that in RAY_ADDRESS, or where ray dashboard puts it, port 8265 here",
    )
    runtime_env: str = knob(
        "cluster/runtime-env.yaml", "file with the runtime environment of the job; empty means none"
    )
    job_id: str = knob("", "id of the job; empty lets Ray draw one")
    follow: bool = knob(False, "print the job's log until it ends, and end as it did")
