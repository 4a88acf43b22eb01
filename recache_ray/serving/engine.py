"""Draws checked requests: those that wait together run in one batch, each with the schedule of its own budget."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor

from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.diffusion.adapter import Drawing, UnusableGenerationError
from recache_ray.diffusion.draw import alike
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.errors import BadInputError, RecacheError
from recache_ray.serving.drawn_picture import DrawnPicture
from recache_ray.serving.request import PictureRequest

_PROMPTS_KEPT = 256


class PictureEngine:
    """One model in this process. Calls from several threads take turns, since a pipeline serves one at a time.

    Args:
        adapter: of an image model.
        mechanism: what cached steps do.

    Raises:
        BadInputError: if the model makes videos.
    """

    def __init__(self, adapter: PipelineAdapter, mechanism: CachingMechanism) -> None:
        if adapter.spec.frames > 1:
            raise BadInputError(
                f"model.frames = {adapter.spec.frames}: makes videos, only pictures are served; use recache generate"
            )
        self._adapter = adapter
        self._mechanism = mechanism
        self._prompts: OrderedDict[str, Mapping[str, Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self._adapter.spec.device

    def draw(self, requests: Sequence[PictureRequest]) -> list[DrawnPicture | RecacheError]:
        """A picture for every request, or the reason why there is none, in order."""
        if not requests:
            return []
        with self._lock:
            try:
                return list(self._batch(requests))
            except UnusableGenerationError as error:
                if len(requests) == 1:
                    return [error]
                # one bad picture must not spoil the others
                return [drawn for request in requests for drawn in self._alone(request)]

    def _alone(self, request: PictureRequest) -> list[DrawnPicture | RecacheError]:
        try:
            return list(self._batch([request]))
        except UnusableGenerationError as error:
            return [error]

    def _batch(self, requests: Sequence[PictureRequest]) -> list[DrawnPicture]:
        """One pipeline call, or one for each length of prompts where the pipeline does not pad them."""
        drawings = [Drawing(self._embeddings(each.prompt), each.seed, each.schedule) for each in requests]
        pictures: dict[int, DrawnPicture] = {}
        for places in alike(drawings):
            made = self._adapter.run_drawings([drawings[place] for place in places], self._mechanism)
            for place, images, computed in zip(places, made.images, made.computed_steps, strict=True):
                pictures[place] = DrawnPicture(images[0], computed, made.seconds, len(places))
        return [pictures[place] for place in range(len(requests))]

    def _embeddings(self, prompt: str) -> Mapping[str, Tensor]:
        """Encoded once; the same object for equal prompts, so that they share computed prefixes."""
        if prompt not in self._prompts:
            self._prompts[prompt] = self._adapter.encode(prompt)
            if len(self._prompts) > _PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(prompt)
        return self._prompts[prompt]
