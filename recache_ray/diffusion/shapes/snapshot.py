"""Writes a trained state as a complete FluxPipeline directory.

The transformer is stored in bfloat16 (half the bytes, all of its weights rounded), the rest in float32; diffusers
loads both as float32.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers import FluxPipeline
from torch import nn


@torch.no_grad()
def save_snapshot(pipeline: FluxPipeline, model: nn.Module, average: dict[str, torch.Tensor], folder: Path) -> None:
    """Saves the pipeline with the averaged weights; `model` holds its transformer, clip and t5 as submodules."""
    averaged = copy.deepcopy(model)
    for name, value in averaged.named_parameters():
        value.copy_(average[name])
    whole = FluxPipeline(
        **{
            **pipeline.components,
            "transformer": averaged.get_submodule("transformer").to(torch.bfloat16),
            "text_encoder": averaged.get_submodule("clip"),
            "text_encoder_2": averaged.get_submodule("t5"),
        }
    )
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    whole.save_pretrained(part)
    for config in part.glob("*/config.json"):
        forget_origin(config)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def forget_origin(config: Path) -> None:
    """Removes the folder that a component was once loaded from out of its config file."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
