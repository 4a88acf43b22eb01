"""One prompt at one budget beside the uncached picture, with what differs and what was measured."""

from __future__ import annotations

from collections import OrderedDict

from PIL import Image

from recache_ray.errors import RecacheError
from recache_ray.evaluation.report.gallery import error_map
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import psnr
from recache_ray.schedules import Schedule
from recache_ray.serving.compared import Compared
from recache_ray.serving.drawn_picture import DrawnPicture
from recache_ray.serving.engine import PictureEngine
from recache_ray.serving.request import PictureRequest

_REFERENCES_KEPT = 32


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
