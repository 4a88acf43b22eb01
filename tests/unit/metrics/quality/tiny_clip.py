"""A tiny architecture in open_clip's catalogue, with the real vocabulary, and checkpoints of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray

NAME = "recache-tiny"
CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 56, "layers": 2, "width": 64, "head_width": 32, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def register(folder: Path) -> None:
    """Make the architecture known to open_clip by name."""
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    open_clip.add_model_config(path)


def model(seed: int = 0) -> open_clip.CLIP:
    """Random weights, larger than at initialisation so that cosines differ."""
    torch.manual_seed(seed)
    built = open_clip.CLIP(**CONFIG).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.ndim > 1:
                parameter.add_(0.05 * torch.randn(parameter.shape))
    return built


def frames(count: int, height: int = 40, width: int = 70, seed: int = 0) -> NDArray[np.uint8]:
    """Blobs of colour, uint8 [count, height, width, 3]."""
    cells = np.random.default_rng(seed).integers(0, 256, (count, height // 10, width // 10, 3))
    return cells.repeat(10, axis=1).repeat(10, axis=2).astype(np.uint8)
