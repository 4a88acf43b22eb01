"""The pictures: uncached reference, ours and best rival at every budget, with maps of where they differ.

A video is one picture here, its frames side by side; the page shows one of them at a time. Shapes: F frames.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from PIL import Image

from recache_ray.evaluation.pictures import REFERENCE, Picture
from recache_ray.references.encoding import decode_frames

ERROR_GAIN = 8.0
"""A channel that is off by an eighth of its range is the brightest."""

_LOSSLESS_SIDE = 128


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the page and the map of its error, as data URIs, and the budgets of the slider it is shown at.

    The frames of a video stand side by side in both.
    """

    picture: Picture
    image: str
    error: str
    shown_at: str


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt: its caption, F, the reference, and per role the pictures in order of budget."""

    caption: str
    num_frames: int
    reference: str
    frames: dict[str, tuple[Frame, ...]]


def examples(pictures: Sequence[Picture], budgets: Sequence[int]) -> tuple[Example, ...]:
    """Group the pictures by prompt; a budget without pictures shows those of the nearest one with."""
    pictured = sorted({picture.budget for picture in pictures if picture.role != REFERENCE})
    shown_at = {
        near: " ".join(str(k) for k in budgets if min(pictured, key=lambda p: (abs(p - k), p)) == near)
        for near in pictured
    }
    found = []
    for position in sorted({picture.example for picture in pictures}):
        own = [picture for picture in pictures if picture.example == position]
        reference = next(picture for picture in own if picture.role == REFERENCE)
        pixels = decode_frames(reference.png)
        frames: dict[str, list[Frame]] = {}
        for picture in own:
            if picture.role != REFERENCE:
                own_pixels = decode_frames(picture.png)
                error = _uri([error_map(*pair) for pair in zip(pixels, own_pixels, strict=True)])
                frame = Frame(picture, _uri([*own_pixels]), error, shown_at[picture.budget])
                frames.setdefault(picture.role, []).append(frame)
        by_role = {role: tuple(listed) for role, listed in frames.items()}
        found.append(Example(reference.caption, len(pixels), _uri([*pixels]), by_role))
    return tuple(found)


def error_map(reference: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Largest channel difference at every pixel of uint8 [H, W, 3] pictures, as such a picture; black is none."""
    difference = np.abs(reference.astype(np.float64) - picture).max(axis=-1) / 255
    return (colormaps["inferno"](np.clip(difference * ERROR_GAIN, 0, 1))[..., :3] * 255).astype(np.uint8)


def _uri(frames: Sequence[np.ndarray]) -> str:
    """The frames side by side; lossless while small, a page of large ones would be too heavy to send."""
    stream, image = io.BytesIO(), Image.fromarray(np.concatenate(frames, axis=1))
    if max(frames[0].shape) <= _LOSSLESS_SIDE:
        image.save(stream, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    image.save(stream, "JPEG", quality=88, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
