"""From a gate's spec to the object."""

from __future__ import annotations

import difflib
import math

from recache_ray.caching.gates.dicache import DiCache
from recache_ray.caching.gates.easycache import EasyCache
from recache_ray.caching.gates.first_block import FirstBlockCache
from recache_ray.caching.gates.gate import Gate
from recache_ray.caching.gates.magcache import MagCache
from recache_ray.caching.gates.teacache import TeaCache
from recache_ray.errors import BadInputError
from recache_ray.types import GateSpec

GATES = ("teacache", "magcache", "easycache", "fbcache", "dicache")


def build_gate(spec: GateSpec, num_steps: int) -> Gate:
    """The gate a spec names, for a model of ``num_steps`` steps.

    Raises:
        BadInputError: if its kind is unknown, a number is out of its range, or a calibrated table is missing.
    """
    if spec.threshold < 0 or math.isnan(spec.threshold):
        raise BadInputError(f"gate {spec.kind}: threshold = {spec.threshold}: must be at least 0")
    if spec.warm_steps < 1:
        raise BadInputError(f"gate {spec.kind}: warm_steps = {spec.warm_steps}: must be at least 1")
    match spec.kind:
        case "teacache":
            if not spec.table:
                raise BadInputError("gate teacache: table is empty; give the coefficients of its calibrated polynomial")
            return TeaCache(spec.threshold, num_steps, spec.table, spec.warm_steps)
        case "magcache":
            if len(spec.table) != num_steps:
                raise BadInputError(
                    f"gate magcache: table of {len(spec.table)} ratios: must be one per step, {num_steps}; "
                    "calibrate at this number of steps"
                )
            if spec.max_skips < 1:
                raise BadInputError(f"gate magcache: max_skips = {spec.max_skips}: must be at least 1")
            return MagCache(spec.threshold, spec.table, spec.max_skips, spec.warm_steps)
        case "easycache":
            return EasyCache(spec.threshold, num_steps, spec.warm_steps)
        case "fbcache":
            return FirstBlockCache(spec.threshold, spec.warm_steps)
        case "dicache":
            return DiCache(spec.threshold, num_steps, spec.warm_steps)
    close = difflib.get_close_matches(spec.kind, GATES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(GATES)}"
    raise BadInputError(f"gate {spec.kind!r}: unknown; {hint}")
