"""A scene as class numbers, the form in which classifiers read it.

For each of the five places: the shape there (0 = nothing), its colour and its size; then the background's pattern and
colour: 17 numbers. Colour and size of an empty place carry IGNORED, which cross-entropy skips.
"""

from __future__ import annotations

from recache_ray.diffusion.shapes.scene import (
    COLOURS,
    PATTERNS,
    POSITIONS,
    SHAPES,
    SIZES,
    Background,
    Scene,
    SceneObject,
)

IGNORED = -100
CLASSES: tuple[int, ...] = (
    *(1 + len(SHAPES), len(COLOURS), len(SIZES)) * len(POSITIONS),
    len(PATTERNS),
    len(COLOURS),
)


def scene_labels(scene: Scene) -> tuple[int, ...]:
    """The 17 class numbers of a scene."""
    there = {item.position: item for item in scene.objects}
    labels: list[int] = []
    for position in POSITIONS:
        item = there.get(position)
        if item is None:
            labels += [0, IGNORED, IGNORED]
        else:
            labels += [1 + SHAPES.index(item.shape), COLOURS.index(item.colour), SIZES.index(item.size)]
    return (*labels, PATTERNS.index(scene.background.pattern), COLOURS.index(scene.background.colour))


def read_objects(labels: tuple[int, ...]) -> tuple[SceneObject, ...]:
    """The objects that class numbers name, in the order of POSITIONS; any number of them."""
    objects = []
    for index, position in enumerate(POSITIONS):
        shape, colour, size = labels[3 * index : 3 * index + 3]
        if shape > 0:
            objects.append(SceneObject(SIZES[size], COLOURS[colour], SHAPES[shape - 1], position))
    return tuple(objects)


def read_background(labels: tuple[int, ...]) -> Background:
    """The background that class numbers name."""
    return Background(PATTERNS[labels[-2]], COLOURS[labels[-1]])
