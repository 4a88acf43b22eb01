"""The study of alpha: what is written is read back, and the plot and table show every point."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from recache_ray.errors import BadInputError
from recache_ray.evaluation.alpha_study import (
    QUALITY_ONLY,
    AlphaPoint,
    alpha_table,
    plot_alpha,
    read_points,
    write_points,
)

POINTS = tuple(
    AlphaPoint(alpha, budget, 0.1 / budget + min(alpha, 30) / 100, 0.5 + budget / 100, 0.6, 12, (0, budget, 9))
    for alpha in (0.0, 7.0, QUALITY_ONLY)
    for budget in (3, 4)
)


def test_points_survive_the_file_which_is_plain_json(tmp_path: Path) -> None:
    path = write_points(POINTS, {"seed": 0}, tmp_path / "deep" / "alpha.json")
    assert read_points(path) == POINTS
    assert "Infinity" not in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8"))["provenance"] == {"seed": 0}


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "alpha.json").write_text('{"points": [{"alpha": 1}]}', encoding="utf-8")
    with pytest.raises(BadInputError, match="cannot be read as a study of alpha") as caught:
        read_points(tmp_path / "alpha.json")
    assert "\n" not in str(caught.value)


def test_table_and_plot_show_every_weight(tmp_path: Path) -> None:
    buffer = io.StringIO()
    Console(file=buffer, width=120).print(alpha_table(POINTS))
    text = buffer.getvalue()
    assert text.count("quality only") == 2 and "-0.0700" in text and "0, 4, 9" in text
    with Image.open(plot_alpha(POINTS, tmp_path / "alpha.png")) as image:
        assert image.width > 1000 and len(image.convert("RGB").getcolors(1_000_000)) > 50
