"""Reads the scene back from a picture: a small convolutional classifier trained on the renderer's own pictures.

Shapes: pixels (B, 3, 64, 64) in [-1, 1]; class numbers as in `labels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from recache_ray.diffusion.shapes.labels import CLASSES, read_background, read_objects
from recache_ray.diffusion.shapes.scene import Background, Scene, SceneObject

READOUT_PATH = Path(__file__).parent / "readout.safetensors"
ATTRIBUTES: tuple[str, ...] = ("shape", "colour", "position", "background", "size")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the classifier sees; unlike a Scene it may hold any number of objects."""

    objects: tuple[SceneObject, ...]
    background: Background


class Readout(nn.Module):
    """Five convolutions and two linear layers, 0.2 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 48, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.features = nn.Sequential(*layers, nn.Conv2d(64, 64, 3, padding=1), nn.SiLU(), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(64 * 16, 128), nn.SiLU(), nn.Linear(128, sum(CLASSES)))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits of each of the 17 labels."""
        return self.head(self.features(pixels)).split(CLASSES, dim=1)


def load_readout(path: Path = READOUT_PATH) -> Readout:
    """The trained classifier that ships with the package."""
    readout = Readout()
    readout.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return readout.eval()


@torch.no_grad()
def read(readout: Readout, pixels: torch.Tensor) -> list[Reading]:
    """One reading per picture."""
    numbers = torch.stack([logits.argmax(dim=1) for logits in readout(pixels)], dim=1).tolist()
    return [Reading(read_objects(tuple(row)), read_background(tuple(row))) for row in numbers]


def compare(scene: Scene, reading: Reading) -> dict[str, bool]:
    """Which attributes are right; `joint` is shape, colour and position of every object, and the background.

    A single attribute is right when the picture holds the same values in any order; `joint` demands that they belong
    together. Size is told apart, and `joint_with_size` includes it.
    """
    wanted, seen = scene.objects, reading.objects
    right = {
        "shape": sorted(item.shape for item in wanted) == sorted(item.shape for item in seen),
        "colour": sorted(item.colour for item in wanted) == sorted(item.colour for item in seen),
        "position": sorted(item.position for item in wanted) == sorted(item.position for item in seen),
        "background": scene.background == reading.background,
        "size": sorted(item.size for item in wanted) == sorted(item.size for item in seen),
    }
    without_size = {(item.shape, item.colour, item.position) for item in wanted}
    right["joint"] = right["background"] and without_size == {(item.shape, item.colour, item.position) for item in seen}
    right["joint_with_size"] = right["background"] and set(wanted) == set(seen)
    return right


def accuracies(scenes: list[Scene], readings: list[Reading]) -> dict[str, float]:
    """Share of the scenes for which each entry of `compare` holds."""
    results = [compare(scene, reading) for scene, reading in zip(scenes, readings, strict=True)]
    return {name: sum(result[name] for result in results) / len(results) for name in results[0]}
