"""The embedded video model's data: grammar, renderer, what reads it back, and the coding of videos as latents."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from recache_ray.diffusion.shapes_video import NUM_FRAMES, RESOLUTION_PX
from recache_ray.diffusion.shapes_video.codec import CELL_VALUES, PatchCodec, cells_of, fit_codec, round_trip_psnr_db
from recache_ray.diffusion.shapes_video.data import rendered_pixels
from recache_ray.diffusion.shapes_video.reading import accuracies, compare, read
from recache_ray.diffusion.shapes_video.render import Video, render
from recache_ray.diffusion.shapes_video.scene import (
    MovingScene,
    all_scenes,
    caption,
    parse_caption,
    sample_scene,
    vocabulary_words,
)

SCENE = MovingScene("large", "red", "circle", "left", "black")


def rendered(count: int, seed: int) -> tuple[list[MovingScene], list[Video]]:
    draws, numbers = random.Random(seed), np.random.default_rng(seed)
    scenes = [sample_scene(draws, held_out=False) for _ in range(count)]
    return scenes, [render(scene, numbers) for scene in scenes]


def test_captions_and_scenes_are_one_to_one() -> None:
    trained, kept = all_scenes(held_out=False), all_scenes(held_out=True)
    assert len(trained) + len(kept) == 2 * 6 * 4 * 4 * 3 and not set(trained) & set(kept)
    captions = {caption(scene): scene for scene in (*trained, *kept)}
    assert len(captions) == len(trained) + len(kept)
    assert all(parse_caption(text) == scene for text, scene in captions.items())
    assert {word for text in captions for word in text.split()} == set(vocabulary_words())
    assert caption(SCENE) == "a large red circle moving left on a black background"
    assert 0.05 < len(kept) / len(captions) < 0.15
    flipped = [parse_caption(caption(each).replace("small", "large")) for each in kept]
    assert set(flipped) <= set(kept)  # size does not decide


@pytest.mark.parametrize("text", ["a cat", "a large red circle on the left of a blue background"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a shapes-video caption"):
        parse_caption(text)
    with pytest.raises(ValueError, match="unknown direction 'sideways'"):
        MovingScene("large", "red", "circle", "sideways", "black")


def test_what_is_rendered_is_read_back_through_noise_as_well() -> None:
    scenes, videos = rendered(24, seed=3)
    assert all(video.shape == (NUM_FRAMES, RESOLUTION_PX, RESOLUTION_PX, 3) for video in videos)
    assert min(video.min() for video in videos) >= 0 and max(video.max() for video in videos) <= 1
    assert accuracies(scenes, [read(video) for video in videos])["joint"] == 1.0
    numbers = np.random.default_rng(0)
    noisy = [np.clip(video + 0.05 * numbers.standard_normal(video.shape), 0, 1) for video in videos]
    assert accuracies(scenes, [read(video) for video in noisy])["joint"] > 0.9


def test_a_video_played_backwards_or_standing_still_or_empty_is_read_as_that() -> None:
    video = render(SCENE, np.random.default_rng(1))
    assert read(video) == SCENE
    assert read(video[::-1]) == MovingScene("large", "red", "circle", "right", "black")
    assert read(np.repeat(video[:1], NUM_FRAMES, axis=0)) is None
    assert read(np.full_like(video, 0.5)) is None
    assert compare(SCENE, None) == dict.fromkeys(("size", "colour", "shape", "direction", "background", "joint"), False)


def test_cells_hold_every_value_once_and_the_first_frame_four_times() -> None:
    videos = torch.arange(3 * 9 * 8 * 8, dtype=torch.float32).view(1, 3, 9, 8, 8)
    cells = cells_of(videos)
    assert cells.shape == (1, 3, 2, 2, CELL_VALUES)
    assert torch.equal(cells[:, 1:].flatten().sort().values, videos[:, :, 1:].flatten().sort().values)
    assert torch.equal(cells[:, 0].flatten().sort().values, videos[:, :, :1].flatten().repeat(4).sort().values)


def test_all_components_code_exactly_and_slices_equal_the_batch() -> None:
    codec = PatchCodec(CELL_VALUES)
    codec.components.data = torch.linalg.qr(torch.randn(CELL_VALUES, CELL_VALUES)).Q
    codec.mean.data = torch.randn(CELL_VALUES)
    videos = torch.rand(3, 3, 9, 16, 16) * 2 - 1
    latents = codec.encode(videos)
    assert latents.shape == (3, CELL_VALUES, 3, 4, 4)
    assert torch.allclose(codec.decode(latents).sample, videos, atol=1e-4)
    codec.enable_slicing()
    (alone,) = codec.decode(latents[1:2], return_dict=False)
    assert torch.equal(codec.decode(latents).sample[1:2], alone)


def test_the_fit_keeps_most_and_says_how_latents_are_normalised() -> None:
    scenes, _ = rendered(60, seed=0)
    videos = rendered_pixels(scenes, np.random.default_rng(0))
    codec = fit_codec(videos, 16)
    assert round_trip_psnr_db(codec, videos) > 28
    spread = torch.tensor(codec.config["latents_std"]).view(1, -1, 1, 1, 1)
    assert (codec.encode(videos) / spread).square().mean() == pytest.approx(1.0, rel=1e-3)
    assert fit_codec(videos, 16).components.equal(codec.components)
