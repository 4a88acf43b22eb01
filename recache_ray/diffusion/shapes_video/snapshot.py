"""Writes a trained state as a complete WanPipeline directory, all of it in float32."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import WanPipeline
from torch import nn

from recache_ray.diffusion.embedded_training.snapshot import averaged_copy, save_pipeline


def save_snapshot(pipeline: WanPipeline, model: nn.Module, average: dict[str, torch.Tensor], folder: Path) -> None:
    """Saves the pipeline with the averaged weights; `model` holds its transformer and text encoder as submodules."""
    averaged = averaged_copy(model, average)
    whole = WanPipeline(
        **{
            **{name: part for name, part in pipeline.components.items() if part is not None},
            "transformer": averaged.get_submodule("transformer"),
            "text_encoder": averaged.get_submodule("text_encoder"),
        }
    )
    save_pipeline(whole, folder)
