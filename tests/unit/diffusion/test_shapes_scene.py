"""The caption grammar: a bijection, a closed vocabulary, a fixed held-out set."""

import random

import pytest

from recache_ray.diffusion.shapes.labels import CLASSES, read_background, read_objects, scene_labels
from recache_ray.diffusion.shapes.scene import (
    Background,
    Scene,
    SceneObject,
    caption,
    is_held_out,
    parse_caption,
    sample_scene,
    vocabulary_words,
)


@pytest.mark.parametrize(
    "text",
    [
        "a small blue circle on the right of a black background",
        "a large red circle on the left of a striped blue background",
        "a small red circle on the left and a large blue square on the right of a white background",
        "a large purple star in the centre of an orange background",
        "a small white ring at the top and a small black cross at the bottom of a dotted green background",
    ],
)
def test_examples_of_the_documentation_survive_the_round_trip(text: str) -> None:
    assert caption(parse_caption(text)) == text


def test_every_sampled_caption_parses_back_to_its_scene() -> None:
    draws = random.Random(0)
    words = set(vocabulary_words())
    for index in range(300):
        scene = sample_scene(draws, held_out=index % 2 == 0, two_objects=0.5)
        assert parse_caption(caption(scene)) == scene
        assert set(caption(scene).split()) <= words
        assert is_held_out(scene) == (index % 2 == 0)


def test_captions_may_start_a_sentence_and_spell_center() -> None:
    scene = parse_caption("A large red star in the  center of a blue background.")
    assert scene.objects[0].position == "centre"


def test_the_held_out_set_is_a_tenth_and_never_moves() -> None:
    draws = random.Random(1)
    background = Background("plain", "white")
    share = 0
    for _ in range(2000):
        item = sample_scene(draws, held_out=False, two_objects=0).objects[0]
        if item.colour != "white":
            share += is_held_out(Scene((item,), Background(draws.choice(("striped", "dotted")), "white")))
    assert 100 < share < 300
    known = Scene((SceneObject("small", "red", "circle", "left"),), background)
    assert is_held_out(known) == is_held_out(parse_caption(caption(known).replace("small", "large")))
    assert [is_held_out(sample_scene(random.Random(5), held_out=True))] == [True]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a cat", "not a shapes caption"),
        ("a large red circle on the left of a red background", "cannot be seen"),
        (
            "a large red circle on the left and a small red star at the top of a blue background",
            "opposite sides",
        ),
    ],
)
def test_bad_captions_say_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_caption(text)


def test_labels_hold_the_whole_scene() -> None:
    draws = random.Random(2)
    for _ in range(50):
        scene = sample_scene(draws, held_out=False, two_objects=0.5)
        labels = scene_labels(scene)
        assert len(labels) == len(CLASSES)
        assert all(label < count for label, count in zip(labels, CLASSES, strict=True))
        assert set(read_objects(labels)) == set(scene.objects)
        assert read_background(labels) == scene.background
