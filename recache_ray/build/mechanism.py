"""The mechanism as configured, and which baselines it can be compared with."""

from __future__ import annotations

from collections.abc import Iterable

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN
from recache_ray.baselines.offline import Need, needs
from recache_ray.caching.registry import EXECUTORS, runs_under_gates
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec

_ON_GATES = tuple(name for name in ADAPTIVE if name != "dicache_dcta")
"""Gates under which the run's mechanism makes the cached steps."""


def mechanism_spec(config: Config) -> MechanismSpec:
    """The configured mechanism."""
    return MechanismSpec(config.mechanism.kind, config.mechanism.order, config.mechanism.cut)


def unfit(mechanism: MechanismSpec, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the baselines that rest on forecasts of the whole stack's residual, where the mechanism makes none."""
    if runs_under_gates(mechanism) and mechanism.kind != "dcta":
        return ()
    # the residuals that calibration records are not what cache-dit predicts
    return tuple(
        name
        for name in names
        if name in ("dpcache", "dpcache_exact")
        or (not runs_under_gates(mechanism) and name in (*_ON_GATES, *FROZEN))
        or (mechanism.kind in EXECUTORS and needs([name]) == {Need.RESIDUALS})
    )


def check_fits(mechanism: MechanismSpec, names: Iterable[str]) -> None:
    """Refuse baselines that the mechanism cannot be compared with.

    Raises:
        BadInputError: naming them.
    """
    if found := unfit(mechanism, names):
        raise BadInputError(
            f"evaluation.baselines: {', '.join(found)} rest on forecasts of the whole stack's residual, which "
            f"mechanism {mechanism.id} does not make; leave them out, or use another mechanism"
        )
