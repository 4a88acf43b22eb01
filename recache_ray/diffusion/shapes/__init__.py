"""The embedded model: a small but complete FluxPipeline, trained by this project on rendered shapes.

Importing this package needs neither torch nor diffusers; ``FluxPipeline.from_pretrained(model_path())`` loads it.
"""

from __future__ import annotations

from pathlib import Path

RESOLUTION_PX = 64
"""Height and width to ask of the pipeline."""

MAX_SEQUENCE_LENGTH = 24
"""The `max_sequence_length` that the text encoders were trained with; the pipeline's own default is 512."""


def model_path() -> Path:
    """The model directory inside this package."""
    return Path(__file__).parent / "model"


def quality_path() -> Path:
    """The folder of the open_clip model that judges pictures of this model."""
    return Path(__file__).parent / "quality_model"


__all__ = ["MAX_SEQUENCE_LENGTH", "RESOLUTION_PX", "model_path", "quality_path"]
