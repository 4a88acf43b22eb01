"""Where a model runs."""

from __future__ import annotations

import torch

from recache_ray.config.model import ModelConfig
from recache_ray.errors import BadInputError


def chosen_device(section: ModelConfig) -> str:
    """``cpu`` or ``cuda``, as ``model.device`` says.

    Raises:
        BadInputError: if it asks for a GPU that is not there, or offloads from none.
    """
    device = section.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise BadInputError("model.device = 'cuda': this process sees no GPU; use model.device=auto or a GPU worker")
    if device == "cpu" and section.offload != "none":
        raise BadInputError(f"model.offload = {section.offload!r}: needs a GPU to load from; use model.offload=none")
    return device
