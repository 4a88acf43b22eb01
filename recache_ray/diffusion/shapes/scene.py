"""What a `shapes` picture contains: one or two objects on a background, and the caption grammar that names it.

The grammar is a bijection between scenes and canonical captions, so a caption can be checked against a picture:
``a large red circle on the left of a striped blue background`` or
``a small red circle on the left and a large blue square on the right of a white background``.
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross", "ring")
COLOURS: tuple[str, ...] = ("red", "green", "blue", "yellow", "orange", "purple", "white", "black")
SIZES: tuple[str, ...] = ("small", "large")
POSITIONS: tuple[str, ...] = ("left", "right", "top", "bottom", "centre")
PATTERNS: tuple[str, ...] = ("plain", "striped", "checkered", "dotted")

OPPOSITE: dict[str, str] = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
"""Two objects stand at opposite sides, where even large ones do not hide each other."""

HELD_OUT_SHARE = 10
"""One attribute combination in this many is never trained on."""

_PREPOSITION: dict[str, str] = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "centre": "in the centre",
}


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: all four fields are words of the vocabulary above."""

    size: str
    colour: str
    shape: str
    position: str

    def __post_init__(self) -> None:
        _require("size", self.size, SIZES)
        _require("colour", self.colour, COLOURS)
        _require("shape", self.shape, SHAPES)
        _require("position", self.position, POSITIONS)


@dataclass(frozen=True, slots=True)
class Background:
    """A pattern drawn in two shades of one colour; `plain` has one shade."""

    pattern: str
    colour: str

    def __post_init__(self) -> None:
        _require("pattern", self.pattern, PATTERNS)
        _require("colour", self.colour, COLOURS)


@dataclass(frozen=True, slots=True)
class Scene:
    """One or two objects, in the order in which the caption names them, on a background."""

    objects: tuple[SceneObject, ...]
    background: Background

    def __post_init__(self) -> None:
        if not 1 <= len(self.objects) <= 2:
            raise ValueError(f"a scene has 1 or 2 objects, got {len(self.objects)}")
        if len(self.objects) == 2 and OPPOSITE.get(self.objects[0].position) != self.objects[1].position:
            places = " and ".join(item.position for item in self.objects)
            raise ValueError(f"two objects stand at opposite sides, got {places}: use left/right or top/bottom")
        for item in self.objects:
            if item.colour == self.background.colour:
                raise ValueError(f"a {item.colour} object cannot be seen on a {item.colour} background")


def caption(scene: Scene) -> str:
    """The canonical caption of a scene."""
    objects = " and ".join(
        f"a {item.size} {item.colour} {item.shape} {_PREPOSITION[item.position]}" for item in scene.objects
    )
    pattern = "" if scene.background.pattern == "plain" else f"{scene.background.pattern} "
    article = "an" if not pattern and scene.background.colour == "orange" else "a"
    return f"{objects} of {article} {pattern}{scene.background.colour} background"


def parse_caption(text: str) -> Scene:
    """The scene that a caption names; raises ValueError where the text is not of the grammar."""
    match = _GRAMMAR.fullmatch(" ".join(text.lower().replace("center", "centre").split()).rstrip("."))
    if match is None:
        raise ValueError(
            f"not a shapes caption: {text!r}; expected e.g. "
            "'a large red circle on the left of a striped blue background'"
        )
    found = match.groupdict()
    objects = [SceneObject(found["size"], found["colour"], found["shape"], found["position"])]
    if found["shape_b"] is not None:
        objects.append(SceneObject(found["size_b"], found["colour_b"], found["shape_b"], found["position_b"]))
    return Scene(tuple(objects), Background(found["pattern"] or "plain", found["ground"]))


def sample_scene(generator: random.Random, *, held_out: bool, two_objects: float = 0.25) -> Scene:
    """A scene drawn uniformly, from the training combinations or (`held_out`) from those kept away from training."""
    while True:
        scene = _draw(generator, two_objects)
        if is_held_out(scene) == held_out:
            return scene


def is_held_out(scene: Scene) -> bool:
    """Whether training never sees this combination; size and the order of naming do not matter."""
    objects = sorted(f"{item.colour} {item.shape} {item.position}" for item in scene.objects)
    key = "; ".join([*objects, f"{scene.background.pattern} {scene.background.colour}"])
    return hashlib.sha256(key.encode()).digest()[0] % HELD_OUT_SHARE == 0


def vocabulary_words() -> tuple[str, ...]:
    """Every word the grammar can produce, sorted."""
    grammar = {"a", "an", "and", "of", "background", "plain", "center"}
    words = {word for phrase in _PREPOSITION.values() for word in phrase.split()}
    return tuple(sorted(grammar | words | {*SHAPES, *COLOURS, *SIZES, *POSITIONS, *PATTERNS}))


def _draw(generator: random.Random, two_objects: float) -> Scene:
    background = Background(generator.choice(PATTERNS), generator.choice(COLOURS))
    visible = tuple(colour for colour in COLOURS if colour != background.colour)
    pair = generator.random() < two_objects
    first = generator.choice(tuple(OPPOSITE) if pair else POSITIONS)
    places = (first, OPPOSITE[first]) if pair else (first,)
    objects = tuple(
        SceneObject(generator.choice(SIZES), generator.choice(visible), generator.choice(SHAPES), place)
        for place in places
    )
    return Scene(objects, background)


def _require(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"unknown {what} {value!r}: one of {', '.join(allowed)}")


def _object_pattern(suffix: str) -> str:
    return (
        rf"an? (?P<size{suffix}>{'|'.join(SIZES)}) (?P<colour{suffix}>{'|'.join(COLOURS)}) "
        rf"(?P<shape{suffix}>{'|'.join(SHAPES)}) (?:on|at|in) the (?P<position{suffix}>{'|'.join(POSITIONS)})"
    )


_GRAMMAR = re.compile(
    rf"{_object_pattern('')}(?: and {_object_pattern('_b')})? of an? "
    rf"(?:(?P<pattern>{'|'.join(PATTERNS)}) )?(?P<ground>{'|'.join(COLOURS)}) background"
)
