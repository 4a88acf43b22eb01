"""Writes a trained state as a complete FluxPipeline directory.

The transformer is stored in bfloat16 (half the bytes, all of its weights rounded), the rest in float32; diffusers
loads both as float32.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import FluxPipeline
from torch import nn

from recache_ray.diffusion.embedded_training.snapshot import averaged_copy, save_pipeline


def save_snapshot(pipeline: FluxPipeline, model: nn.Module, average: dict[str, torch.Tensor], folder: Path) -> None:
    """Saves the pipeline with the averaged weights; `model` holds its transformer, clip and t5 as submodules."""
    averaged = averaged_copy(model, average)
    whole = FluxPipeline(
        **{
            **pipeline.components,
            "transformer": averaged.get_submodule("transformer").to(torch.bfloat16),
            "text_encoder": averaged.get_submodule("clip"),
            "text_encoder_2": averaged.get_submodule("t5"),
        }
    )
    save_pipeline(whole, folder)
