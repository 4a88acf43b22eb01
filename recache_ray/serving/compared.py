"""What the demo page shows of one comparison, and the sentences and strip beside it; read without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recache_ray.schedules import Schedule, ScheduleTable


@dataclass(frozen=True, slots=True)
class Compared:
    """What the page shows.

    Attributes:
        reference: uncached picture.
        result: at the budget.
        error: map of the largest difference of a channel at every pixel.
        schedule: that the result followed.
        computed_steps: counted while it was drawn.
        seconds: of the result, measured.
        reference_seconds: of the reference, measured when it was drawn.
        lpips: of the result to the reference.
        psnr_db: the same, at most 100.
    """

    reference: Image.Image
    result: Image.Image
    error: Image.Image
    schedule: Schedule
    computed_steps: int
    seconds: float
    reference_seconds: float
    lpips: float
    psnr_db: float


def budget_text(table: ScheduleTable, budget: int) -> str:
    """A budget in every unit the run measured: steps, times fewer FLOPs, milliseconds of the transformer."""
    steps = f"{budget} of {table.num_steps} steps"
    if not table.cost:
        return f"{steps} · {table.num_steps / budget:.2f} times fewer"
    rest, cost = table.num_steps - budget, table.cost
    flops = budget * cost["computed_flops"] + rest * cost["cached_flops"]
    milliseconds = 1000 * (budget * cost["computed_s"] + rest * cost["cached_s"])
    ratio = table.num_steps * cost["computed_flops"] / flops
    return f"{steps} · {ratio:.2f} times fewer FLOPs · {milliseconds:.0f} ms where it was trained"


def strip_html(schedule: Schedule) -> str:
    """The schedule as a row of cells, dark where a step is computed."""
    cells = "".join(
        f'<i title="step {step}: {"computed" if computed else "cached"}" style="flex:1;height:22px;border-radius:3px;'
        f'background:{"#123a5c" if computed else "#cfdde9"}"></i>'
        for step, computed in enumerate(schedule.compute_mask)
    )
    label = f"steps computed: {', '.join(map(str, schedule.compute_steps))} of 0 to {schedule.num_steps - 1}"
    return (
        f'<div id="schedule-strip" role="img" aria-label="{label}" style="display:flex;gap:2px">{cells}</div>'
        f"<small>{label}</small>"
    )


def measured_text(compared: Compared) -> str:
    """The figures of one comparison as a line."""
    faster = compared.reference_seconds / compared.seconds if compared.seconds > 0 else np.inf
    return (
        f"{compared.computed_steps} of {compared.schedule.num_steps} steps computed · "
        f"{1000 * compared.seconds:.0f} ms, uncached {1000 * compared.reference_seconds:.0f} ms "
        f"({faster:.2f} times faster) · LPIPS {compared.lpips:.4f} · PSNR {compared.psnr_db:.1f} dB"
    )
