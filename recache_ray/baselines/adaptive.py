"""The adaptive rivals: gates with their published constants, brought to a budget by their threshold.

Each comes as itself, with a threshold at which it computes k steps on average, and frozen into the schedule of exactly
k steps that it most often chose. MagCache's decisions depend on no prompt, so it is among the fixed baselines.
"""

from __future__ import annotations

from collections.abc import Sequence

from recache_ray.errors import BadInputError
from recache_ray.types import GateSpec, MechanismSpec

ADAPTIVE: tuple[str, ...] = ("teacache", "easycache", "fbcache", "dicache", "dicache_dcta")
"""Names of gates: ``dicache_dcta`` is DiCache with its own two-anchor forecast, the others take the run's mechanism."""

FROZEN: tuple[str, ...] = tuple(f"{name}_frozen" for name in ADAPTIVE if name != "dicache_dcta")
"""Names of their frozen variants, schedules under the run's mechanism."""

# EasyCache: 10 of 50 steps (Wan); DiCache: int(0.2 T) + 1 (FLUX)
_RETAINED_SHARE = 0.2


def gate_at_budget(name: str, num_steps: int, budget: int, polynomial: Sequence[float] = ()) -> GateSpec:
    """The gate of an adaptive baseline, its threshold still to be found.

    The published retention computes the first fifth of the steps of EasyCache and DiCache. Where that leaves too little
    of the budget to decide about, it is lowered to half of the budget.

    Args:
        name: one of :data:`ADAPTIVE`.
        num_steps: T.
        budget: k.
        polynomial: TeaCache's, highest power first.

    Raises:
        BadInputError: if the name is unknown or ``budget`` is outside 1..T.
    """
    if not 1 <= budget <= num_steps:
        raise BadInputError(f"budget = {budget}: must be between 1 and num_steps = {num_steps}")
    most = max(1, budget // 2)
    match name:
        case "teacache":
            return GateSpec("teacache", 0.0, table=tuple(polynomial))
        case "fbcache":
            return GateSpec("fbcache", 0.0)
        case "easycache":
            return GateSpec("easycache", 0.0, warm_steps=min(most, max(1, int(_RETAINED_SHARE * num_steps))))
        case "dicache" | "dicache_dcta":
            return GateSpec("dicache", 0.0, warm_steps=min(most, int(_RETAINED_SHARE * num_steps) + 1))
    raise BadInputError(f"baseline {name!r}: no gate; known: {', '.join(ADAPTIVE)}")


def gate_mechanism(name: str, mechanism: MechanismSpec) -> MechanismSpec:
    """What a cached step does under this gate, in a run of ``mechanism``."""
    return MechanismSpec("dcta") if name == "dicache_dcta" else mechanism
