"""Files of frames: pictures, moving pictures and mp4. Shapes: F frames, H height, W width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from recache_ray.errors import BadInputError, RunFailedError

_MP4 = ".mp4"
_MOVING = (_MP4, ".webp", ".gif")
"""Formats for several frames; .webp keeps every bit."""

_H264 = (
    *("-crf", "10", "-preset", "slow", "-movflags", "+faststart"),
    # without these, players guess the matrix by the size
    *("-vf", "scale=out_color_matrix=bt709:out_range=tv"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
)


def check_output(output: Path, frames: int, *, name: str) -> None:
    """Refuse a file name before anything is generated for it.

    Args:
        output: the file to write.
        frames: F.
        name: the setting, for the message.

    Raises:
        BadInputError: if its format is not known or cannot hold the frames, its folder is not there, or mp4 cannot be
            written in this environment.
    """
    suffix = output.suffix.lower()
    if suffix != _MP4 and suffix not in Image.registered_extensions():
        raise BadInputError(
            f"{name} = {str(output)!r}: not a picture or video format; end it in .png, a video in .mp4 or .webp"
        )
    if frames > 1 and suffix not in _MOVING:
        raise BadInputError(
            f"{name} = {str(output)!r}: holds one of model.frames = {frames} frames; end it in {', '.join(_MOVING)}"
        )
    if suffix == _MP4:
        _ffmpeg(f"{name} = {str(output)!r}")
    if not output.parent.is_dir():
        raise BadInputError(f"{name} = {str(output)!r}: there is no folder {output.parent}; create it first")


def save_frames(frames: npt.NDArray[np.uint8], output: Path, fps: int) -> None:
    """Write uint8 frames [F, H, W, 3]: one as a picture, several as a moving one, without loss where the format can.

    An mp4 is H.264 in 4:2:0, which every browser plays: colours have half the resolution, so it is for showing.

    Raises:
        BadInputError: if an mp4 cannot be written in this environment, or H or W is odd.
        RunFailedError: if the file cannot be written.
    """
    partial = output.with_name(f".partial-{output.name}")
    try:
        if output.suffix.lower() == _MP4:
            _write_mp4(frames, partial, fps)
        else:
            _write_pictures(frames, partial, fps)
        partial.replace(output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunFailedError(
            f"{output}: cannot be written ({error.strerror or error}); choose another output"
        ) from error


def _write_pictures(frames: npt.NDArray[np.uint8], path: Path, fps: int) -> None:
    first, *others = [Image.fromarray(frame) for frame in frames]
    moving: dict[str, Any] = {"save_all": True, "append_images": others, "loop": 0, "lossless": True}
    moving["duration"] = round(1000 / fps)
    first.save(path, **(moving if others else {}))


def _write_mp4(frames: npt.NDArray[np.uint8], path: Path, fps: int) -> None:
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise BadInputError(f"mp4 of {width}x{height} pixels: both sides must be even; write .webp instead")
    writer = _ffmpeg(str(path)).write_frames(
        str(path),
        (width, height),
        fps=fps,
        codec="libx264",
        quality=None,
        pix_fmt_in="rgb24",
        pix_fmt_out="yuv420p",
        macro_block_size=1,
        output_params=list(_H264),
        ffmpeg_log_level="error",
    )
    writer.send(None)
    try:
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()


def _ffmpeg(subject: str) -> Any:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise BadInputError(
            f"{subject}: writing mp4 needs imageio-ffmpeg; run: pip install 'recache_ray[video]', or write .webp"
        ) from error
    return imageio_ffmpeg
