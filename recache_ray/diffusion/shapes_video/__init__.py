"""The embedded video model: a small but complete WanPipeline, trained by this project on moving shapes.

Importing this package needs neither torch nor diffusers; ``WanPipeline.from_pretrained(model_path())`` loads it.
"""

from __future__ import annotations

from pathlib import Path

RESOLUTION_PX = 32
"""Height and width to ask of the pipeline."""

NUM_FRAMES = 9
"""Frames to ask of the pipeline."""

FPS = 8
"""Speed at which a video is meant to be shown."""

MAX_SEQUENCE_LENGTH = 16
"""The `max_sequence_length` that the text encoder was trained with; the pipeline's own default is 512."""

GUIDANCE_SCALE = 3.0
"""Scale of the classifier-free guidance that all figures are for."""


def model_path() -> Path:
    """The model directory inside this package."""
    return Path(__file__).parent / "model"


__all__ = ["FPS", "GUIDANCE_SCALE", "MAX_SEQUENCE_LENGTH", "NUM_FRAMES", "RESOLUTION_PX", "model_path"]
