"""What a `shapes-video` shows: one object crossing a plain background, and the caption grammar that names it.

The grammar is a bijection between scenes and captions, so a caption can be checked against a video:
``a large red circle moving left on a black background``. Objects and backgrounds have no colour in common.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from dataclasses import dataclass, fields

SIZES: tuple[str, ...] = ("small", "large")
COLOURS: tuple[str, ...] = ("red", "green", "blue", "yellow", "orange", "purple")
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "cross")
DIRECTIONS: tuple[str, ...] = ("left", "right", "up", "down")
BACKGROUNDS: tuple[str, ...] = ("black", "grey", "white")

HELD_OUT_SHARE = 10
"""One combination of colour, shape, direction and background in this many is never trained on."""

_WORDS = {"size": SIZES, "colour": COLOURS, "shape": SHAPES, "direction": DIRECTIONS, "background": BACKGROUNDS}


@dataclass(frozen=True, slots=True)
class MovingScene:
    """All five fields are words of the vocabulary above."""

    size: str
    colour: str
    shape: str
    direction: str
    background: str

    def __post_init__(self) -> None:
        for field in fields(self):
            word, allowed = getattr(self, field.name), _WORDS[field.name]
            if word not in allowed:
                raise ValueError(f"unknown {field.name} {word!r}: one of {', '.join(allowed)}")


def caption(scene: MovingScene) -> str:
    """The caption of a scene."""
    return f"a {scene.size} {scene.colour} {scene.shape} moving {scene.direction} on a {scene.background} background"


def parse_caption(text: str) -> MovingScene:
    """The scene that a caption names; raises ValueError where the text is not of the grammar."""
    match = _GRAMMAR.fullmatch(" ".join(text.lower().split()).rstrip("."))
    if match is None:
        raise ValueError(
            f"not a shapes-video caption: {text!r}; expected e.g. "
            "'a large red circle moving left on a black background'"
        )
    return MovingScene(**match.groupdict())


def all_scenes(*, held_out: bool) -> list[MovingScene]:
    """Every scene of the training combinations, or every one kept away from training, in a fixed order."""
    scenes = (MovingScene(*words) for words in itertools.product(*_WORDS.values()))
    return [scene for scene in scenes if is_held_out(scene) == held_out]


def sample_scene(generator: random.Random, *, held_out: bool) -> MovingScene:
    """A scene drawn uniformly from :func:`all_scenes`."""
    while True:
        scene = MovingScene(*(generator.choice(words) for words in _WORDS.values()))
        if is_held_out(scene) == held_out:
            return scene


def is_held_out(scene: MovingScene) -> bool:
    """Whether training never sees this combination; size does not matter."""
    key = f"{scene.colour} {scene.shape} {scene.direction} {scene.background}"
    return hashlib.sha256(key.encode()).digest()[0] % HELD_OUT_SHARE == 0


def vocabulary_words() -> tuple[str, ...]:
    """Every word the grammar can produce, sorted."""
    return tuple(sorted({"a", "moving", "on", "background"}.union(*_WORDS.values())))


_GRAMMAR = re.compile(
    r"an? "
    + " ".join(rf"(?P<{name}>{'|'.join(_WORDS[name])})" for name in ("size", "colour", "shape"))
    + rf" moving (?P<direction>{'|'.join(DIRECTIONS)}) on an? (?P<background>{'|'.join(BACKGROUNDS)}) background"
)
