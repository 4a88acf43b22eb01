"""One prompt at one budget beside the uncached picture, with what differs and what was measured."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recache_ray.errors import RecacheError
from recache_ray.evaluation.report.gallery import error_map
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import psnr
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.serving.drawn_picture import DrawnPicture
from recache_ray.serving.engine import PictureEngine
from recache_ray.serving.request import PictureRequest

_REFERENCES_KEPT = 32


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


class Comparer:
    """Draws and compares; references of the last prompts and seeds are kept."""

    def __init__(self, engine: PictureEngine, lpips: LpipsMetric) -> None:
        self._engine = engine
        self._lpips = lpips
        self._references: OrderedDict[tuple[str, int], DrawnPicture] = OrderedDict()

    def compare(self, prompt: str, seed: int, schedule: Schedule) -> Compared:
        """Draw ``prompt`` under the schedule and, unless it is known, uncached.

        Raises:
            RecacheError: if a generation gives no picture.
        """
        reference = self._reference(prompt, seed, schedule.num_steps)
        result = self._draw(PictureRequest(prompt, seed, schedule))
        images, target = result.image[None, None], reference.image[None]
        return Compared(
            reference=Image.fromarray(reference.image),
            result=Image.fromarray(result.image),
            error=Image.fromarray(error_map(reference.image, result.image)),
            schedule=schedule,
            computed_steps=result.computed_steps,
            seconds=result.seconds,
            reference_seconds=reference.seconds,
            lpips=self._lpips(images, target)[0],
            psnr_db=psnr(images, target)[0],
        )

    def _reference(self, prompt: str, seed: int, num_steps: int) -> DrawnPicture:
        key = (prompt, seed)
        if key not in self._references:
            self._references[key] = self._draw(PictureRequest(prompt, seed, Schedule.full(num_steps)))
            if len(self._references) > _REFERENCES_KEPT:
                self._references.popitem(last=False)
        return self._references[key]

    def _draw(self, request: PictureRequest) -> DrawnPicture:
        drawn = self._engine.draw([request])[0]
        if isinstance(drawn, RecacheError):
            raise drawn
        return drawn


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
