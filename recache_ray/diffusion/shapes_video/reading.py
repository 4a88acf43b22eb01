"""Reads the scene back from a video, by measuring it: no classifier, nothing trained.

Background and object have no colour in common, so that a pixel's place on the line between the two colours is the
share of it that the object covers. Its centre's way over the frames gives the direction, the best-fitting outline over
all frames the shape and the size.
Shapes: videos (F, H, W, 3) in [0, 1]; coverage (F, H, W).
"""

from __future__ import annotations

import itertools
from dataclasses import fields
from functools import cache

import numpy as np

from recache_ray.diffusion.embedded_training.drawing import RGB, Field
from recache_ray.diffusion.shapes_video.render import BACKGROUND_RGB, RADIUS_PX, TOWARDS, coverage
from recache_ray.diffusion.shapes_video.scene import COLOURS, SHAPES, SIZES, MovingScene

MIN_TRAVEL_PX = 4.0
"""Less than this between first and last frame counts as standing still."""

_OBJECT_DIFFERENCE = 0.25
"""A channel that far from the background's belongs to an object."""

_RADII = 3
_SHIFTS_PX = (-0.5, 0.0, 0.5)


def read(video: Field) -> MovingScene | None:
    """The scene that the video shows; None where there is no object, or none that moves."""
    ground = np.median(np.concatenate([video[:, 0], video[:, -1], video[:, :, 0], video[:, :, -1]], axis=1), (0, 1))
    difference = np.abs(video - ground).max(axis=-1)
    if difference.max() < _OBJECT_DIFFERENCE:
        return None
    inside = difference > 0.8 * difference.max()
    colour = np.median(video[inside], axis=0)
    axis = colour - ground
    covered = np.clip(((video - ground) @ axis) / (axis @ axis), 0, 1)
    covered = np.where(covered > 0.15, covered, 0)
    if covered.sum(axis=(1, 2)).min() < 1:
        return None  # the object is not there in every frame
    centres = [_centre(frame) for frame in covered]
    way = np.subtract(centres[-1], centres[0])
    if np.abs(way).max() < MIN_TRAVEL_PX:
        return None
    shape, size = _outline(covered, centres)
    return MovingScene(
        size=size,
        colour=_nearest(colour, {name: RGB[name] for name in COLOURS}),
        shape=shape,
        direction=max(TOWARDS, key=lambda name: float(way @ TOWARDS[name])),
        background=_nearest(ground, BACKGROUND_RGB),
    )


def compare(wanted: MovingScene, seen: MovingScene | None) -> dict[str, bool]:
    """Which words of the caption the video shows; ``joint`` is all of them."""
    right = {
        field.name: seen is not None and getattr(wanted, field.name) == getattr(seen, field.name)
        for field in fields(wanted)
    }
    return right | {"joint": all(right.values())}


def accuracies(wanted: list[MovingScene], seen: list[MovingScene | None]) -> dict[str, float]:
    """Share of the videos for which each entry of :func:`compare` holds."""
    results = [compare(*pair) for pair in zip(wanted, seen, strict=True)]
    return {name: sum(result[name] for result in results) / len(results) for name in results[0]}


def _centre(covered: Field) -> tuple[float, float]:
    """Centre of mass (x, y) in pixels."""
    rows, columns = np.indices(covered.shape) + 0.5
    return float((covered * columns).sum() / covered.sum()), float((covered * rows).sum() / covered.sum())


def _outline(covered: Field, centres: list[tuple[float, float]]) -> tuple[str, str]:
    """Shape and size of the outline with the least squared error over the frames, at the best of a few places."""
    errors: dict[tuple[str, str], float] = {}
    for shape, size in itertools.product(SHAPES, SIZES):
        for radius in np.linspace(*RADIUS_PX[size], _RADII):
            off_x, off_y = _offset(shape, float(radius))
            error = 0.0
            for frame, (x, y) in zip(covered, centres, strict=True):
                error += min(
                    float(np.square(coverage(shape, x - off_x + dx, y - off_y + dy, float(radius)) - frame).sum())
                    for dx, dy in itertools.product(_SHIFTS_PX, repeat=2)
                )
            errors[shape, size] = min(error, errors.get((shape, size), np.inf))
    return min(errors, key=lambda each: errors[each])


@cache
def _offset(shape: str, radius: float) -> tuple[float, float]:
    """How far a shape's centre of mass lies from the point it is drawn at."""
    x, y = _centre(coverage(shape, 16.0, 16.0, radius))
    return x - 16.0, y - 16.0


def _nearest(colour: Field, names: dict[str, tuple[float, float, float]]) -> str:
    return min(names, key=lambda name: float(np.square(colour - np.asarray(names[name])).sum()))
