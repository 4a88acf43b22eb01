"""What a cached step does."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class MechanismConfig:
    """What a cached step does."""

    kind: str = knob(
        "taylor",
        "taylor: TaylorSeer, newton: exact for uneven gaps, hermite: HiCache, delta: Delta-DiT, dcta: DiCache's",
        choices=("reuse", "taylor", "newton", "hermite", "foca", "freqca", "delta", "dcta", "cache_dit"),
    )
    order: int = knob(1, "forecast order; ignored by reuse, foca, delta and dcta", ge=0, le=4)
    cut: str = knob(
        "stack",
        "stack predicts the blocks as a whole, modules every attention and MLP output (reuse: FORA)",
        choices=("stack", "modules"),
    )
