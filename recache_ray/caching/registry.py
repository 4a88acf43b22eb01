"""From a mechanism's name to the object, with every way of naming one."""

from __future__ import annotations

import difflib
import re

from recache_ray.caching.foca import FoCa
from recache_ray.caching.freqca import FreqCa
from recache_ray.caching.hermite import HiCache
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.newton import Newton
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.caching.two_anchor import GatedMechanism, TwoAnchor
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec

KINDS = ("reuse", "taylor", "newton", "hermite", "foca", "freqca")
MAX_ORDER = 4

_WITHOUT_ORDER = ("reuse", "foca")


def build_mechanism(spec: MechanismSpec) -> CachingMechanism:
    """The mechanism a spec names.

    Raises:
        BadInputError: if its kind is unknown or its order is out of 0..4.
    """
    if not 0 <= spec.order <= MAX_ORDER:
        raise BadInputError(f"mechanism.order = {spec.order}: must be between 0 and {MAX_ORDER}")
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
    raise BadInputError(_unknown(spec.kind))


def build_gated_mechanism(spec: MechanismSpec) -> GatedMechanism:
    """The mechanism a spec names for use under a gate, where ``dcta`` is one more.

    Raises:
        BadInputError: as :func:`build_mechanism`.
    """
    return TwoAnchor() if spec.kind == TwoAnchor.id else build_mechanism(spec)


def parse_mechanism(name: str | MechanismSpec) -> MechanismSpec:
    """Read ``"reuse"``, ``"taylor"`` (order 1), ``"newton2"``, ``"foca"``, ...; a spec is returned as it is.

    Raises:
        BadInputError: if the name is none of these.
    """
    if isinstance(name, MechanismSpec):
        return name
    match = re.fullmatch(r"([a-z_]+?)(\d*)", name.strip().lower()) if isinstance(name, str) else None
    if match is None or match[1] not in KINDS or (match[1] in _WITHOUT_ORDER and match[2]):
        raise BadInputError(_unknown(name))
    if match[1] in _WITHOUT_ORDER:
        return MechanismSpec(match[1])
    return MechanismSpec(match[1], order=int(match[2] or 1))


def _unknown(name: object) -> str:
    close = difflib.get_close_matches(str(name), KINDS, n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    return f"mechanism = {name!r}: must be one of {', '.join(KINDS)}, with the order behind it (taylor2){guess}"
