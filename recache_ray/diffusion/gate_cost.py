"""What asking a gate costs, measured on the model itself at its real shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from recache_ray.caching.gates.registry import build_gate
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.two_anchor import GatedMechanism
from recache_ray.diffusion.adapter import ModelAdapter
from recache_ray.diffusion.cost import split_steps, transformer_readings
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.types import GateSpec


@dataclass(frozen=True, slots=True)
class GateCost:
    """FLOPs that a gate adds to a step of a given schedule, as shares of a computed step's.

    Attributes:
        computed_share: at a computed step, of which a probe is a part that costs nothing on top.
        cached_share: at a cached step: the embedders and whatever the gate looks at, a block for those that probe.
    """

    computed_share: float
    cached_share: float

    def partial_forwards(self, schedule: Schedule) -> float:
        """What the gate added to a generation in which this schedule arose, in computed steps."""
        cached = schedule.num_steps - schedule.budget
        return schedule.budget * self.computed_share + cached * self.cached_share


def measure_gate_cost(
    adapter: ModelAdapter, embeddings: Mapping[str, Tensor], gate: GateSpec, mechanism: GatedMechanism
) -> GateCost:
    """Count the FLOPs of each transformer call under the gate, and under a schedule given beforehand.

    The threshold of the gate plays no part: it caches as much as it can. Matrix products, convolutions and attention
    are counted.

    Args:
        adapter: the model; its T must be at least 2.
        embeddings: of any prompt.
        gate: whose cost to measure.
        mechanism: what cached steps do; one that needs a probe has it charged here.

    Raises:
        BadInputError: if the model has a single step, or the gate does not fit it.
    """
    num_steps = adapter.spec.num_steps
    if num_steps < 2:
        raise BadInputError(f"model.num_steps = {num_steps}: measuring a cached step needs at least 2")
    half = Schedule(num_steps, tuple(range((num_steps + 1) // 2)))
    rule = build_gate(replace(gate, threshold=math.inf), num_steps)

    def run_half() -> Schedule:
        adapter.run(embeddings, 0, [half], Reuse())  # forecasts take no matrix product
        return half

    computed, cached = _count(adapter, run_half)
    gate_computed, gate_cached = _count(adapter, lambda: adapter.run_gated(embeddings, 0, rule, mechanism).schedule)
    # where the gate must compute every step there is no cached one to charge
    cached_share = (gate_cached - cached) / computed if gate_cached else 0.0
    return GateCost((gate_computed - computed) / computed, cached_share)


def _count(adapter: ModelAdapter, run: Callable[[], Schedule]) -> tuple[float, float]:
    """FLOPs of a computed and of a cached step of the generation that ``run`` makes."""
    counter = FlopCounterMode(display=False)
    with counter, transformer_readings(adapter.transformer, counter.get_total_flops) as flops:
        schedule = run()
    return split_steps(flops, schedule, adapter.spec.forwards_per_step)
