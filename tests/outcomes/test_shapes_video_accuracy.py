"""The shipped video weights pass their bar on captions never trained on."""

import json

import pytest

from recache_ray.diffusion.shapes_video.check import main


def test_four_of_five_held_out_captions_are_shown_right_in_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--count", "30", "--seed", "3"])
    printed = capsys.readouterr().out
    found = json.loads(printed[: printed.index("}") + 1])
    assert status == 0, printed
    assert found["direction"] == 1.0  # a still picture of the right object would pass every other word


def test_more_captions_than_are_held_out_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--count", "61"])
    assert "must be from 1 to 60" in capsys.readouterr().err
