"""Names of what a cached step does, and of what decides while a generation runs which steps are cached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MechanismSpec:
    """Names a caching mechanism. Example: ``MechanismSpec("taylor", order=1)``; its ``id`` is ``taylor1``.

    Attributes:
        kind: the rule; ``dcta`` needs a probe at every step, so the first block always runs.
        order: of the forecast; ``reuse``, ``foca``, ``delta`` and ``dcta`` have none.
        cut: ``stack`` predicts the residual of the blocks as a whole, ``modules`` each attention and MLP output:
            ``MechanismSpec("reuse", cut="modules")`` is FORA.
    """

    kind: str
    order: int = 0
    cut: str = "stack"

    @property
    def id(self) -> str:
        name = self.kind if self.kind in ("reuse", "foca", "delta", "dcta") else f"{self.kind}{self.order}"
        return name if self.cut == "stack" else f"{name}_{self.cut}"


@dataclass(frozen=True)
class GateSpec:
    """Names a gate: a rule that decides at each step of the generation under way whether it is computed.

    Attributes:
        kind: ``teacache``, ``magcache``, ``easycache``, ``fbcache`` or ``dicache``.
        threshold: a step is cached while the gate's measure of error stays below this; 0 computes every step.
        warm_steps: first steps that are computed whatever the measure says; at least 1.
        table: numbers from a calibration: the coefficients of TeaCache's polynomial, highest power first; MagCache's
            magnitude ratios, one per step.
        max_skips: MagCache's K, most cached steps in a row.

    Example: ``GateSpec("fbcache", 0.05)``.
    """

    kind: str
    threshold: float
    warm_steps: int = 1
    table: tuple[float, ...] = ()
    max_skips: int = 5
