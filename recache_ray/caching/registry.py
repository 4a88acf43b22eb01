"""From a mechanism's name to the object, with every way of naming one."""

from __future__ import annotations

import difflib
import re
from importlib.metadata import version

from recache_ray.caching.cache_dit import CacheDit, Executor
from recache_ray.caching.delta import DeltaDiT
from recache_ray.caching.foca import FoCa
from recache_ray.caching.freqca import FreqCa
from recache_ray.caching.hermite import HiCache
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.module_cut import PerModule
from recache_ray.caching.newton import Newton
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.caching.two_anchor import GatedMechanism, ScheduledTwoAnchor, TwoAnchor
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec

KINDS = ("reuse", "taylor", "newton", "hermite", "foca", "freqca", "delta", "dcta")
"""What cached steps do under this project's hooks."""

EXECUTORS = ("cache_dit",)
"""What runs a schedule by hooks of its own."""

CUTS = ("stack", "modules")
MAX_ORDER = 4

_WITHOUT_ORDER = ("reuse", "foca", "delta", "dcta")
_WHOLE_STACK_ONLY = ("freqca", "delta", "dcta", *EXECUTORS)


def build_executor(spec: MechanismSpec) -> Executor:
    """What a spec names, cache-dit included.

    Raises:
        BadInputError: as :func:`build_mechanism`, or if cache-dit is asked for and not installed.
    """
    if spec.kind not in EXECUTORS:
        return build_mechanism(spec)
    _check(spec)
    mechanism = CacheDit(spec.order)
    mechanism.check_installed()
    return mechanism


def build_mechanism(spec: MechanismSpec) -> CachingMechanism:
    """The mechanism a spec names, for use under this project's hooks.

    Raises:
        BadInputError: if its kind or cut is unknown, they do not go together, or its order is out of 0..4.
    """
    _check(spec)
    if spec.kind in EXECUTORS:
        raise BadInputError(
            f"mechanism {spec.id}: cache-dit runs schedules by itself; train, evaluate or generate with it, and enable "
            "it in a pipeline through its own enable_cache"
        )
    return PerModule(_rule(spec)) if spec.cut == "modules" else _rule(spec)


def _check(spec: MechanismSpec) -> None:
    if not 0 <= spec.order <= MAX_ORDER:
        raise BadInputError(f"mechanism.order = {spec.order}: must be between 0 and {MAX_ORDER}")
    if spec.cut not in CUTS:
        raise BadInputError(f"mechanism.cut = {spec.cut!r}: must be one of {', '.join(CUTS)}")
    if spec.cut == "modules" and spec.kind in _WHOLE_STACK_ONLY:
        raise BadInputError(f"mechanism.cut = 'modules': {spec.kind} caches a stack of blocks; set mechanism.cut=stack")


def _rule(spec: MechanismSpec) -> CachingMechanism:
    match spec.kind:
        case "reuse":
            return Reuse()
        case "taylor":
            return TaylorSeer(spec.order)
        case "newton":
            return Newton(spec.order)
        case "hermite":
            return HiCache(spec.order)
        case "foca":
            return FoCa()
        case "freqca":
            return FreqCa(spec.order)
        case "delta":
            return DeltaDiT()
        case "dcta":
            return ScheduledTwoAnchor()
    raise BadInputError(_unknown(spec.kind))


def cut_name(spec: MechanismSpec) -> str:
    """What is cached, as files for other programs call it."""
    if spec.kind == "delta":
        return "rear_blocks_residual"
    if spec.kind in EXECUTORS:
        return "residual_behind_first_block"
    return "block_stack_residual" if spec.cut == "stack" else "module_outputs"


def library(spec: MechanismSpec) -> str:
    """Name of the package whose code makes the cached steps, with its version where it is another's."""
    return f"cache-dit {version('cache-dit')}" if spec.kind in EXECUTORS else "recache_ray"


def runs_under_gates(spec: MechanismSpec) -> bool:
    """Whether a gate may decide about the cached steps of this mechanism: it predicts the whole stack's residual."""
    return spec.cut == "stack" and spec.kind not in ("delta", *EXECUTORS)


def build_gated_mechanism(spec: MechanismSpec) -> GatedMechanism:
    """The mechanism a spec names for use under a gate, where ``dcta`` is given the probe with the residual.

    Raises:
        BadInputError: as :func:`build_mechanism`, or if it does not run under a gate.
    """
    if not runs_under_gates(spec):
        raise BadInputError(
            f"mechanism {spec.id}: gates need one that predicts the whole stack's residual, such as reuse or taylor1"
        )
    return TwoAnchor() if spec.kind == TwoAnchor.id else build_mechanism(spec)


def parse_mechanism(name: str | MechanismSpec) -> MechanismSpec:
    """Read ``"reuse"``, ``"taylor"`` (order 1), ``"foca"``, ``"taylor1_modules"``, ...; a spec is returned as it is.

    ``"fora"`` is another name of ``"reuse_modules"``.

    Raises:
        BadInputError: if the name is none of these.
    """
    if isinstance(name, MechanismSpec):
        return name
    text = name.strip().lower() if isinstance(name, str) else ""
    match = re.fullmatch(r"([a-z_]+?)(\d*)(_modules)?", "reuse_modules" if text == "fora" else text)
    if match is None or match[1] not in (*KINDS, *EXECUTORS) or (match[1] in _WITHOUT_ORDER and match[2]):
        raise BadInputError(_unknown(name))
    order = 0 if match[1] in _WITHOUT_ORDER else int(match[2] or 1)
    return MechanismSpec(match[1], order, "modules" if match[3] else "stack")


def _unknown(name: object) -> str:
    known = (*KINDS, *EXECUTORS)
    close = difflib.get_close_matches(str(name), known, n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    return (
        f"mechanism = {name!r}: must be one of {', '.join(known)}, with the order behind it (taylor2) and then the cut "
        f"(taylor2_modules){guess}"
    )
