"""Draws a scene: antialiased shapes from signed distances, in numpy.

Arrays are float32 RGB in [0, 1], shape (H, W, 3); lengths are pixels of a 64-pixel canvas; y points down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recache_ray.diffusion.embedded_training.drawing import RGB, Field, jittered_colour, signed_distance
from recache_ray.diffusion.shapes import RESOLUTION_PX
from recache_ray.diffusion.shapes.scene import Background, Scene, SceneObject

Image = NDArray[np.float32]

PLACE_PX: dict[str, tuple[float, float]] = {
    "left": (17.0, 32.0),
    "right": (47.0, 32.0),
    "top": (32.0, 17.0),
    "bottom": (32.0, 47.0),
    "centre": (32.0, 32.0),
}
RADIUS_PX: dict[str, tuple[float, float]] = {"small": (6.5, 7.5), "large": (12.0, 13.5)}
PLACE_JITTER_PX = 2.0
PERIOD_PX = (12.0, 14.0)

_ROWS, _COLUMNS = np.mgrid[0:RESOLUTION_PX, 0:RESOLUTION_PX].astype(np.float32) + np.float32(0.5)


def render(scene: Scene, generator: np.random.Generator) -> Image:
    """One picture of the scene; place, radius, shade and the pattern's phase and period are drawn anew."""
    image = _background(scene.background, generator)
    for item in scene.objects:
        coverage = _object_coverage(item, generator)[..., None]
        image = image + coverage * (jittered_colour(RGB[item.colour], generator) - image)
    return image.astype(np.float32)


def second_shade(colour: str) -> tuple[float, float, float]:
    """The shade that a pattern alternates with: the colour mixed with white (white: with black)."""
    target, share = (0.0, 0.26) if colour == "white" else (1.0, 0.42)
    red, green, blue = (value + share * (target - value) for value in RGB[colour])
    return red, green, blue


def _background(background: Background, generator: np.random.Generator) -> Image:
    base = jittered_colour(RGB[background.colour], generator)
    other = jittered_colour(second_shade(background.colour), generator)
    period = generator.uniform(*PERIOD_PX)
    across, down = _COLUMNS + generator.uniform(0, period), _ROWS + generator.uniform(0, period)
    match background.pattern:
        case "plain":
            share = np.zeros_like(_COLUMNS)
        case "striped":
            share = antialias(_band_distance(across, period))
        case "checkered":
            first = antialias(_band_distance(across, 2 * period * 0.8))
            second = antialias(_band_distance(down, 2 * period * 0.8))
            share = first + second - 2 * first * second
        case "dotted":
            column = np.mod(across, period) - period / 2
            row = np.mod(down, period) - period / 2
            share = antialias(np.hypot(column, row) - 0.28 * period)
        case other_pattern:
            raise ValueError(f"unknown pattern {other_pattern!r}")
    return (base + share[..., None] * (other - base)).astype(np.float32)


def _band_distance(along: Field, period: float) -> Field:
    """Signed distance to stripes that fill half of every period."""
    return np.abs(np.mod(along, period) - period / 2) - period / 4


def _object_coverage(item: SceneObject, generator: np.random.Generator) -> Field:
    """Share of every pixel that the object covers, (H, W) in [0, 1]."""
    centre_x, centre_y = PLACE_PX[item.position]
    x = _COLUMNS - centre_x - generator.uniform(-PLACE_JITTER_PX, PLACE_JITTER_PX)
    y = _ROWS - centre_y - generator.uniform(-PLACE_JITTER_PX, PLACE_JITTER_PX)
    return antialias(signed_distance(item.shape, x, y, generator.uniform(*RADIUS_PX[item.size])))


def antialias(distance: Field) -> Field:
    """Share of a pixel that lies inside, from its centre's signed distance."""
    return np.clip(0.5 - distance, 0.0, 1.0)
