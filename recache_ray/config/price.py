"""What machines cost, for ``recache plan`` and for the summary of a training."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class PriceConfig:
    """A line of a price table that the user keeps up to date."""

    instance: str = knob("", "machine that rollout actors run on, a name in price.file; empty means no money is shown")
    head: str = knob("", "machine of the learner, a name in price.file; empty means it is not counted")
    spot: bool = knob(True, "rollout actors on spot machines; the head is always on demand")
    file: str = knob("conf/prices.yaml", "price table; edit it before you believe what is printed", required=True)
