"""Where rollouts run: here, or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class RuntimeConfig:
    """Where rollouts run."""

    kind: str = knob("ray", "ray: actors on a local or joined cluster; inline: this process", choices=("ray", "inline"))
    address: str = knob("", "address of a running Ray cluster; empty starts a local one")
    num_workers: int = knob(2, "rollout actors", ge=1, le=4096)
    min_workers: int = knob(1, "training starts once this many rollout actors are ready", ge=1)
    cpus_per_worker: float = knob(1.0, "CPUs reserved per rollout actor", ge=0)
    gpus_per_worker: float = knob(0.0, "GPUs reserved per rollout actor; may be fractional", ge=0)
    threads_per_worker: int = knob(1, "torch threads per rollout actor; part of what makes results bit-equal", ge=1)
    max_batch: int = knob(32, "siblings generated together; more are run in turns", ge=1)
    startup_timeout_s: float = knob(300.0, "seconds to wait for min_workers before giving up", gt=0)
    task_timeout_s: float = knob(600.0, "seconds after which a rollout actor counts as hung and is replaced", gt=0)
    max_attempts: int = knob(5, "tries of one task before it counts as failed", ge=1)


@dataclass(frozen=True)
class ClusterConfig:
    """A cluster that somebody else starts."""

    file: str = knob("", "file for ray up, KubeRay object or runtime environment of a job")
