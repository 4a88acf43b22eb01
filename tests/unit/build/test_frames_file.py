"""Files that ``generate`` writes: what they hold, and what is refused before anything is generated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recache_ray.build.frames_file import check_output, save_frames
from recache_ray.errors import BadInputError, RunFailedError

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def test_one_frame_is_a_picture_and_several_a_moving_one(tmp_path: Path) -> None:
    save_frames(FRAMES[:1], tmp_path / "one.png", fps=8)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.png")), FRAMES[0])
    save_frames(FRAMES, tmp_path / "all.webp", fps=8)
    with Image.open(tmp_path / "all.webp") as video:
        assert video.n_frames == 3
        for index, frame in enumerate(FRAMES):
            video.seek(index)
            assert np.array_equal(np.asarray(video.convert("RGB")), frame)
            assert video.info["duration"] == 125


def test_an_mp4_shows_the_frames_at_their_speed(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="pip install 'recache_ray[video]'")
    across = np.linspace(0, 255, 32).astype(np.uint8)
    frames = np.stack([np.stack([np.roll(across, 3 * index)] * 32)[..., None].repeat(3, axis=2) for index in range(9)])
    frames[..., 2] = 200
    save_frames(frames, tmp_path / "all.mp4", fps=8)
    reader = ffmpeg.read_frames(str(tmp_path / "all.mp4"))
    facts = next(reader)
    assert facts["codec"] == "h264" and facts["source_size"] == (32, 32) and facts["fps"] == 8
    shown = [np.frombuffer(each, np.uint8).reshape(32, 32, 3) for each in reader]
    assert len(shown) == 9
    assert np.abs(np.stack(shown).astype(int) - frames).mean() < 12
    assert list(tmp_path.iterdir()) == [tmp_path / "all.mp4"]
    with pytest.raises(BadInputError, match="7x32 pixels: both sides must be even"):
        save_frames(frames[:, :, :7], tmp_path / "odd.mp4", fps=8)


@pytest.mark.parametrize(
    ("file", "frames", "message"),
    [
        ("out.txt", 1, r"not a picture or video format; end it in \.png"),
        ("out.png", 9, r"holds one of model\.frames = 9 frames; end it in \.mp4, \.webp, \.gif"),
        ("nowhere/out.webp", 9, "there is no folder"),
    ],
)
def test_files_that_cannot_hold_it_are_refused(tmp_path: Path, file: str, frames: int, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        check_output(tmp_path / file, frames, name="generate.output")


def test_mp4_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(BadInputError, match=r"needs imageio-ffmpeg; run: pip install 'recache_ray\[video\]'"):
        check_output(tmp_path / "out.mp4", 9, name="generate.output")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(RunFailedError, match=r"taken\.png: cannot be written"):
        save_frames(FRAMES[:1], tmp_path / "taken.png", fps=8)
    assert [file.name for file in tmp_path.iterdir()] == ["taken.png"]
