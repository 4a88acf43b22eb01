"""The configured mechanism as the record that travels."""

from __future__ import annotations

from recache_ray.config.root import Config
from recache_ray.types import MechanismSpec


def mechanism_spec(config: Config) -> MechanismSpec:
    """The configured mechanism."""
    return MechanismSpec(config.mechanism.kind, config.mechanism.order)
