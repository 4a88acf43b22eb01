"""Draws a moving scene: antialiased frames from signed distances, in numpy.

Videos are float32 RGB in [0, 1], shape (F, H, W, 3); lengths are pixels; y points down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recache_ray.diffusion.embedded_training.drawing import RGB, Field, jittered_colour, signed_distance
from recache_ray.diffusion.shapes_video import NUM_FRAMES, RESOLUTION_PX
from recache_ray.diffusion.shapes_video.scene import MovingScene

Video = NDArray[np.float32]

BACKGROUND_RGB: dict[str, tuple[float, float, float]] = {
    "black": RGB["black"],
    "grey": (0.52, 0.52, 0.52),
    "white": RGB["white"],
}
RADIUS_PX: dict[str, tuple[float, float]] = {"small": (3.9, 4.5), "large": (6.4, 7.2)}
EDGE_PX = 2.0
"""Width of an edge: soft, so that few components code it."""

TRAVEL_PX = (9.0, 12.0)
"""From the first frame to the last."""

MIDDLE_JITTER_PX = 1.5
"""Along the motion, of where it is halfway."""

ASIDE_PX = 5.0
"""Across the motion, at most, from the middle of the picture."""

TOWARDS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Unit vectors (x, y)."""

_ROWS, _COLUMNS = np.mgrid[0:RESOLUTION_PX, 0:RESOLUTION_PX].astype(np.float32) + np.float32(0.5)


def render(scene: MovingScene, generator: np.random.Generator) -> Video:
    """One video of the scene: even motion; place, speed, radius and shades are drawn anew."""
    ground = jittered_colour(BACKGROUND_RGB[scene.background], generator)
    colour = jittered_colour(RGB[scene.colour], generator)
    radius = generator.uniform(*RADIUS_PX[scene.size])
    travel = generator.uniform(*TRAVEL_PX)
    along = generator.uniform(-MIDDLE_JITTER_PX, MIDDLE_JITTER_PX)
    across = generator.uniform(-ASIDE_PX, ASIDE_PX)
    step_x, step_y = TOWARDS[scene.direction]
    middle = RESOLUTION_PX / 2
    frames = []
    for share in np.linspace(-0.5, 0.5, NUM_FRAMES):
        way = along + travel * share
        x = middle + step_x * way + abs(step_y) * across
        y = middle + step_y * way + abs(step_x) * across
        covered = coverage(scene.shape, x, y, radius)[..., None]
        frames.append(ground + covered * (colour - ground))
    return np.stack(frames).astype(np.float32)


def coverage(shape: str, centre_x: float, centre_y: float, radius: float) -> Field:
    """Share of every pixel that an object covers, (H, W) in [0, 1]."""
    distance = signed_distance(shape, _COLUMNS - centre_x, _ROWS - centre_y, radius)
    return np.clip(0.5 - distance / EDGE_PX, 0.0, 1.0)
