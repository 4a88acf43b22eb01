import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import FrontierRow
from recache_ray.evaluation.grid import GridExample, write_grid
from recache_ray.evaluation.pictures import MAX_SIDE, PICTURES, pictures_of
from recache_ray.evaluation.rivals import best_rivals
from recache_ray.evaluation.samples import SAMPLES
from recache_ray.references.encoding import decode_frames, encode_frames


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (10, 20, 30)).save(stream, "PNG")
    return stream.getvalue()


def row(schedule: str, budget: int, lpips: float) -> FrontierRow:
    return FrontierRow(
        schedule, "reuse", 10, budget, budget, 0.0, 2.0, 1.0, lpips, None, None, None, -lpips, 4, lpips, lpips
    )


def test_small_pictures_are_kept_as_they_are_and_large_ones_smaller(tmp_path: Path) -> None:
    small, large = png(64, 64), png(1024, 512)
    example = GridExample(
        "a star", large, {"policy": {3: (small, 0.1), 5: (small, 0.05)}, "best rival": {3: (small, 0.2)}}
    )
    pictures = pictures_of([example, example], {3: "uniform_warm", 5: "uniform"})
    assert [(p.example, p.role, p.schedule, p.budget, p.lpips) for p in pictures[:4]] == [
        (0, "reference", "", 0, 0.0),
        (0, "policy", "policy", 3, 0.1),
        (0, "policy", "policy", 5, 0.05),
        (0, "best rival", "uniform_warm", 3, 0.2),
    ]
    assert len(pictures) == 8 and pictures[4].example == 1
    assert pictures[1].png == small
    assert Image.open(io.BytesIO(pictures[0].png)).size == (MAX_SIDE, MAX_SIDE // 2)
    path = PICTURES.write(pictures, tmp_path / "evaluation" / "pictures.parquet")
    assert PICTURES.read(path) == pictures
    with pytest.raises(BadInputError, match="other columns than the samples"):
        SAMPLES.read(path)


def test_every_frame_of_a_video_is_kept() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 2 * MAX_SIDE, MAX_SIDE, 3), dtype=np.uint8)
    large, small = encode_frames(frames), encode_frames(frames[:, :64, :64])
    kept = pictures_of([GridExample("a star", large, {"policy": {3: (small, 0.1)}})], {})
    assert decode_frames(kept[0].png).shape == (3, MAX_SIDE, MAX_SIDE // 2, 3)
    assert kept[1].png == small


def test_the_grid_shows_the_middle_frame(tmp_path: Path) -> None:
    frames = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 90, 200)])
    example = GridExample("a star", encode_frames(frames), {"policy": {3: (encode_frames(frames), 0.1)}})
    with Image.open(write_grid([example], tmp_path / "grid.png", title="films")) as sheet:
        shown = {colour for _, colour in sheet.getcolors(1 << 20) or []}
    assert (90, 90, 90) in shown and not {(0, 0, 0), (200, 200, 200)} & shown


def test_the_best_rival_is_the_lowest_of_the_others_at_each_budget() -> None:
    rows = [
        row("policy", 3, 0.1),
        row("uniform", 3, 0.3),
        row("random", 3, 0.2),
        row("uniform", 5, 0.1),
        row("policy", 7, 0.0),
    ]
    assert {budget: rival.schedule for budget, rival in best_rivals(rows).items()} == {3: "random", 5: "uniform"}
    assert best_rivals(rows, {"uniform"})[3].lpips == 0.3
    assert best_rivals(rows, {"gate"}) == {}
