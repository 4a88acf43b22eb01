"""Which frames of a video are scored."""

from __future__ import annotations

from recache_ray.errors import BadInputError


def scored_frames(num_frames: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` evenly spaced frames, first and last among them; 0 means all, 1 the middle one.

    >>> scored_frames(9, 3), scored_frames(9, 1), scored_frames(2, 0)
    ([0, 4, 8], [4], [0, 1])

    Raises:
        BadInputError: if there are fewer frames.
    """
    if wanted == 0:
        return list(range(num_frames))
    if wanted > num_frames:
        raise BadInputError(
            f"reward.frames = {wanted}: the generation has {num_frames}; must be at most {num_frames} (0 scores all)"
        )
    if wanted == 1:
        return [num_frames // 2]
    return [round(i * (num_frames - 1) / (wanted - 1)) for i in range(wanted)]
