"""Colours, and outlines as signed distances, in numpy.

Colours are RGB in [0, 1]; lengths are pixels; y points down.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""One number per pixel, (H, W)."""

RGB: dict[str, tuple[float, float, float]] = {
    "red": (0.88, 0.10, 0.12),
    "green": (0.10, 0.64, 0.22),
    "blue": (0.12, 0.25, 0.88),
    "yellow": (0.98, 0.88, 0.12),
    "orange": (0.98, 0.52, 0.05),
    "purple": (0.56, 0.16, 0.70),
    "white": (0.97, 0.97, 0.97),
    "black": (0.05, 0.05, 0.06),
}
COLOUR_JITTER = 0.02


def jittered_colour(rgb: tuple[float, float, float], generator: np.random.Generator) -> NDArray[np.float32]:
    """The colour, each channel off by at most COLOUR_JITTER; shape (3,)."""
    jitter = generator.uniform(-COLOUR_JITTER, COLOUR_JITTER, size=3)
    return np.clip(np.asarray(rgb) + jitter, 0.0, 1.0).astype(np.float32)


def signed_distance(shape: str, x: Field, y: Field, radius: float) -> Field:
    """Distance to the outline in pixels, negative inside; the outline's size goes by `radius`."""
    match shape:
        case "circle":
            return np.hypot(x, y) - radius
        case "ring":
            return np.abs(np.hypot(x, y) - 0.80 * radius) - 0.28 * radius
        case "square":
            return np.maximum(np.abs(x), np.abs(y)) - 0.90 * radius
        case "cross":
            wide = np.maximum(np.abs(x) - 1.08 * radius, np.abs(y) - 0.34 * radius)
            tall = np.maximum(np.abs(y) - 1.08 * radius, np.abs(x) - 0.34 * radius)
            return np.minimum(wide, tall)
        case "triangle":
            slope = math.radians(30)
            side = np.abs(x) * math.cos(slope) - (y + 1.2 * radius) * math.sin(slope)
            return np.maximum(side, y - 0.78 * radius)
        case "star":
            return _star_distance(x, y, 1.28 * radius)
        case other:
            raise ValueError(f"unknown shape {other!r}")


def _star_distance(x: Field, y: Field, radius: float) -> Field:
    """Five points, one upward; the notches lie at 0.45 of the radius."""
    sector = 2 * math.pi / 5
    angle = np.abs(np.mod(np.arctan2(x, -y) + sector / 2, sector) - sector / 2)
    distance = np.hypot(x, y)
    across, along = distance * np.sin(angle), distance * np.cos(angle)
    notch_x, notch_y = 0.45 * radius * math.sin(sector / 2), 0.45 * radius * math.cos(sector / 2)
    edge_x, edge_y = notch_x, notch_y - radius
    length = math.hypot(edge_x, edge_y)
    return (-(across * edge_y) + (along - radius) * edge_x) / length
