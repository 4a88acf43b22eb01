"""A resumable training state in safetensors and JSON: weights, their running average, optimisers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    average: dict[str, torch.Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
    step: int,
    seconds: float,
) -> None:
    """Writes the state; a reader sees the old files or the new ones, never half a file."""
    tensors = {f"model/{name}": value.detach().clone() for name, value in model.named_parameters()}
    tensors |= {f"average/{name}": value.clone() for name, value in average.items()}
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimiser/{number}/{index}/{key}"] = value.clone()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "state.part")
    (folder / "state.part").replace(folder / "state.safetensors")
    (folder / "position.part").write_text(json.dumps({"step": step, "seconds": seconds}))
    (folder / "position.part").replace(folder / "position.json")


@torch.no_grad()
def load_checkpoint(
    folder: Path,
    model: nn.Module,
    average: dict[str, torch.Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
) -> tuple[int, float]:
    """Restores everything in place; returns the step and the seconds trained so far, (0, 0) without a checkpoint."""
    if not (folder / "position.json").exists():
        return 0, 0.0
    tensors = load_file(folder / "state.safetensors")
    for name, value in model.named_parameters():
        value.copy_(tensors[f"model/{name}"])
        average[name].copy_(tensors[f"average/{name}"])
    for number, optimiser in enumerate(optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            match name.split("/"):
                case ["optimiser", owner, index, key] if owner == str(number):
                    state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    position = json.loads((folder / "position.json").read_text())
    return int(position["step"]), float(position["seconds"])
