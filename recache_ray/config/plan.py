"""What ``recache plan`` assumes."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class PlanConfig:
    """What a run would cost; the run itself is described by the other sections."""

    architecture: str = knob(
        "", "a model by name instead of the section model, at its published size and steps, see docs/cost.md"
    )
    size: str = knob("", "of plan.architecture, as 832x480x81 (width, height, frames); empty means the published one")
    peak_tflops: float = knob(989.4, "peak of one device in model.dtype, dense; the default is an H100 SXM's", gt=0)
    utilisation: float = knob(0.4, "share of the peak the transformer sustains; assumed, not measured", gt=0, le=1)
    memory_gib: float = knob(80.0, "memory of one device", gt=0)
    executed_share: float = knob(
        0.8, "forwards executed of those requested; assumed, 0.80 was measured on shapes (docs/pipeline.md)", gt=0, le=1
    )
    extra_s: float = knob(0.3, "seconds of a generation outside the transformer: decoding, reward; assumed", ge=0)
