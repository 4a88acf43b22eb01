"""Pictures and captions that are wrong on purpose: what a quality model must rank below the right ones.

Shapes: pixels (B, 3, 64, 64) in [0, 1].
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F

from recache_ray.diffusion.shapes.scene import (
    COLOURS,
    PATTERNS,
    POSITIONS,
    SHAPES,
    SIZES,
    Scene,
)

Spoil = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]

_TRIES = 20


def spoil(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture with one defect of random strength: blur, smear, noise, a ghost of its neighbour, lost contrast.

    They resemble what wrong forecasts of cached steps leave behind.
    """
    strength = torch.rand(len(pixels), 1, 1, 1, generator=generator) * 0.9 + 0.1
    kinds = torch.randint(len(_DEFECTS), (len(pixels),), generator=generator)
    spoilt = pixels.clone()
    for number, defect in enumerate(_DEFECTS):
        chosen = kinds == number
        if bool(chosen.any()):
            spoilt[chosen] = defect(pixels[chosen], strength[chosen], generator)
    return spoilt.clamp(0, 1)


def near_miss(scene: Scene, draws: random.Random) -> Scene:
    """The scene with one word changed, or with the colours or shapes of its two objects exchanged."""
    for _ in range(_TRIES):
        try:
            changed = _changed(scene, draws)
        except ValueError:
            continue  # an object of the background's colour
        if changed != scene:
            return changed
    raise AssertionError(f"no near miss of {scene}")  # one draw in two succeeds


def _blur(pixels: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    blurred = F.interpolate(F.avg_pool2d(pixels, 4), scale_factor=4, mode="bilinear", align_corners=False)
    return pixels + strength * (blurred - pixels)


def _smear(pixels: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    field = torch.randn(len(pixels), 3, 4, 4, generator=generator)
    return pixels + 0.4 * strength * F.interpolate(field, size=pixels.shape[-2:], mode="bilinear", align_corners=False)


def _noise(pixels: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return pixels + 0.25 * strength * torch.randn(pixels.shape, generator=generator)


def _ghost(pixels: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return pixels + 0.6 * strength * (pixels.roll(1, dims=0) - pixels)


def _fade(pixels: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return pixels + 0.7 * strength * (pixels.mean(dim=(1, 2, 3), keepdim=True) - pixels)


_DEFECTS: tuple[Spoil, ...] = (_blur, _smear, _noise, _ghost, _fade)


def _changed(scene: Scene, draws: random.Random) -> Scene:
    objects = list(scene.objects)
    what = draws.choice(("shape", "colour", "size", "position", "pattern", "ground", "exchange"))
    if what == "pattern":
        return replace(scene, background=replace(scene.background, pattern=draws.choice(PATTERNS)))
    if what == "ground":
        return replace(scene, background=replace(scene.background, colour=draws.choice(COLOURS)))
    if what == "exchange" and len(objects) == 2:
        field = draws.choice(("shape", "colour"))
        first, second = (getattr(item, field) for item in objects)
        return replace(scene, objects=(replace(objects[0], **{field: second}), replace(objects[1], **{field: first})))
    words = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "position": POSITIONS}.get(what, SHAPES)
    field = what if what in ("shape", "colour", "size", "position") else "shape"
    index = draws.randrange(len(objects))
    objects[index] = replace(objects[index], **{field: draws.choice(words)})
    return replace(scene, objects=tuple(objects))
