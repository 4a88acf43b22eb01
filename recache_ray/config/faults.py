"""Settings of the verb ``bench faults``."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob

ROLES = ("rollout", "hung", "slow", "node", "drain", "learner", "driver", "head")


@dataclass(frozen=True)
class FaultsConfig:
    """A training under faults."""

    seconds: float = knob(600.0, "what the whole takes, about; the training is sized for it", ge=15, le=86_400)
    kills: int = knob(24, "faults to inject, at random moments, every role in turn", ge=1, le=10_000)
    roles: tuple[str, ...] = knob(
        ROLES,
        "what is hit: rollout, learner, driver, head, node are killed; hung is stopped for good, slow for seconds, "
        "drain takes a node away with notice",
    )
    task_s: float = knob(0.5, "seconds of a simulated task", gt=0, le=60)
