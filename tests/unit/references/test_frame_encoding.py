"""Frames as PNG bytes: nothing lost, whatever the frames are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from recache_ray.references.encoding import decode_frames, encode_frames, encode_png


@pytest.mark.parametrize("count", [1, 2, 9])
def test_frames_survive_the_round_trip(count: int) -> None:
    frames = np.random.default_rng(count).integers(0, 256, (count, 6, 10, 3), dtype=np.uint8)
    assert np.array_equal(decode_frames(encode_frames(frames)), frames)


def test_equal_neighbours_stay_frames_of_their_own() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 10, 3), dtype=np.uint8)
    frames[2] = frames[1]
    frames[4] = frames[0]
    for each in (frames, np.repeat(frames[:1], 5, axis=0)):
        assert np.array_equal(decode_frames(encode_frames(each)), each)


def test_a_single_frame_is_a_plain_picture_and_a_video_opens_as_one() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 6, 10, 3), dtype=np.uint8)
    assert encode_frames(frames[:1]) == encode_png(frames[0])
    with Image.open(io.BytesIO(encode_frames(frames))) as opened:
        assert opened.format == "PNG" and opened.n_frames == 3
        assert np.array_equal(np.asarray(opened.convert("RGB")), frames[0])
