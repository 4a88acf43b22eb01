"""The models inside this package: one of pictures, one of videos."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recache_ray.diffusion import shapes, shapes_video


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model that needs no download.

    Attributes:
        kind: value of ``model.kind``, and the name it is recorded under.
        family: the ``model.kind`` of downloaded models of its pipeline class.
        folder: of its pipeline.
        sample_caption: draws one of the captions it was trained on.
    """

    kind: str
    family: str
    folder: Path
    sample_caption: Callable[[random.Random], str]


def embedded_model(kind: str, path: str = "") -> EmbeddedModel | None:
    """The embedded model of a ``model.kind``; None for other kinds, and where ``model.path`` names another folder."""
    return None if path else _EMBEDDED.get(kind)


def family_kind(kind: str) -> str:
    """The ``model.kind`` of the family that runs this one."""
    return _EMBEDDED[kind].family if kind in _EMBEDDED else kind


def _picture_caption(generator: random.Random) -> str:
    from recache_ray.diffusion.shapes.scene import caption, sample_scene

    return caption(sample_scene(generator, held_out=False))


def _video_caption(generator: random.Random) -> str:
    from recache_ray.diffusion.shapes_video.scene import caption, sample_scene

    return caption(sample_scene(generator, held_out=False))


_EMBEDDED = {
    model.kind: model
    for model in (
        EmbeddedModel("shapes", "flux", shapes.model_path(), _picture_caption),
        EmbeddedModel("shapes-video", "wan", shapes_video.model_path(), _video_caption),
    )
}
