"""The renderer: deterministic, in range, and it draws what the scene says."""

import numpy as np
import pytest

from recache_ray.diffusion.embedded_training.drawing import RGB
from recache_ray.diffusion.shapes.render import RESOLUTION_PX, render
from recache_ray.diffusion.shapes.scene import (
    COLOURS,
    PATTERNS,
    SHAPES,
    Background,
    Scene,
    SceneObject,
    parse_caption,
)


def test_one_seed_gives_one_picture() -> None:
    scene = parse_caption("a large red star on the left of a dotted blue background")
    first, again, other = (render(scene, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (RESOLUTION_PX, RESOLUTION_PX, 3)
    assert first.dtype == np.float32


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_pixels_stay_in_range_and_large_covers_more_than_small(shape: str, pattern: str) -> None:
    covered = []
    for size in ("small", "large"):
        scene = Scene((SceneObject(size, "black", shape, "centre"),), Background(pattern, "yellow"))
        image = render(scene, np.random.default_rng(0))
        assert image.min() >= 0.0
        assert image.max() <= 1.0
        covered.append(int((image[..., 0] < 0.4).sum()))
    assert 30 < covered[0] < 0.5 * covered[1]


@pytest.mark.parametrize("colour", [name for name in COLOURS if name != "white"])
def test_object_and_background_have_their_colours(colour: str) -> None:
    scene = Scene((SceneObject("large", colour, "square", "right"),), Background("plain", "white"))
    image = render(scene, np.random.default_rng(1))
    assert np.allclose(image[32, 47], RGB[colour], atol=0.03)
    assert np.allclose(image[32, 5], RGB["white"], atol=0.03)


def test_edges_are_antialiased() -> None:
    scene = Scene((SceneObject("large", "black", "circle", "centre"),), Background("plain", "white"))
    image = render(scene, np.random.default_rng(0))[..., 0]
    assert ((image > 0.2) & (image < 0.8)).sum() > 20
