"""The embedded model draws what its captions say, on captions it was never trained on."""

from __future__ import annotations

import pytest

from recache_ray.diffusion.shapes.check import main


def test_nine_of_ten_held_out_captions_are_drawn_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "160", "--steps", "20", "--seed", "5"]) == 0, capsys.readouterr().out
