"""Writes a pipeline directory that loads anywhere: whole, and without a trace of where its parts came from."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from torch import nn


@torch.no_grad()
def averaged_copy(model: nn.Module, average: dict[str, torch.Tensor]) -> nn.Module:
    """The model with these weights, by name, in place of its own."""
    averaged = copy.deepcopy(model)
    for name, value in averaged.named_parameters():
        value.copy_(average[name])
    return averaged


def save_pipeline(pipeline: DiffusionPipeline, folder: Path) -> None:
    """Replaces the directory once the new one is complete."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    pipeline.save_pretrained(part)
    for config in part.glob("*/config.json"):
        _forget_origin(config)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _forget_origin(config: Path) -> None:
    """Removes the folder that a component was once loaded from out of its config file."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
