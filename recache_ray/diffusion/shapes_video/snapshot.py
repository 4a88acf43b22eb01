"""Writes a trained state as a complete WanPipeline directory, all of it in float32."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import torch
from diffusers import WanPipeline
from torch import nn

from recache_ray.diffusion.shapes.snapshot import forget_origin


@torch.no_grad()
def save_snapshot(pipeline: WanPipeline, model: nn.Module, average: dict[str, torch.Tensor], folder: Path) -> None:
    """Saves the pipeline with the averaged weights; `model` holds its transformer and text encoder as submodules."""
    averaged = copy.deepcopy(model)
    for name, value in averaged.named_parameters():
        value.copy_(average[name])
    whole = WanPipeline(
        **{
            **{name: part for name, part in pipeline.components.items() if part is not None},
            "transformer": averaged.get_submodule("transformer"),
            "text_encoder": averaged.get_submodule("text_encoder"),
        }
    )
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    whole.save_pretrained(part)
    for config in part.glob("*/config.json"):
        forget_origin(config)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
