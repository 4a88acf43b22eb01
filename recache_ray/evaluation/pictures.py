"""The example pictures of an evaluation, kept so that the report can show them without a model."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recache_ray.evaluation.grid import GridExample
from recache_ray.evaluation.record_file import RecordFile
from recache_ray.references.encoding import decode_frames, encode_frames

REFERENCE = "reference"
BEST_RIVAL = "best rival"
MAX_SIDE = 256
"""Pixels of the longer side; larger pictures are kept smaller."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One example picture; field order is the column order of ``pictures.parquet``.

    Attributes:
        example: position of the prompt among the examples.
        caption: its text.
        role: ``reference`` (uncached), ``policy`` or ``best rival``.
        schedule: the method that made it; empty for the reference.
        budget: computed steps asked for; 0 for the reference.
        lpips: distance to the reference at full size.
        png: the picture, its longer side at most ``MAX_SIDE`` pixels; an animated PNG where it is a video.
    """

    example: int
    caption: str
    role: str
    schedule: str
    budget: int
    lpips: float
    png: bytes


PICTURES = RecordFile(Picture, "pictures")
"""Reads and writes ``pictures.parquet``."""


def pictures_of(examples: Sequence[GridExample], rivals: Mapping[int, str]) -> tuple[Picture, ...]:
    """Flatten the examples; ``rivals`` names the method behind ``best rival`` at every budget."""
    pictures = []
    for position, example in enumerate(examples):
        pictures.append(Picture(position, example.caption, REFERENCE, "", 0, 0.0, _shrunk(example.reference)))
        for role, by_budget in example.pictures.items():
            for budget, (png, lpips) in sorted(by_budget.items()):
                schedule = rivals[budget] if role == BEST_RIVAL else role
                pictures.append(Picture(position, example.caption, role, schedule, budget, lpips, _shrunk(png)))
    return tuple(pictures)


def _shrunk(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as picture:
        if max(picture.size) <= MAX_SIDE:
            return png
    return encode_frames(np.stack([_thumbnail(frame) for frame in decode_frames(png)]))


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.fromarray(frame)
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
