"""A search is gone on with only from a state that Ray finished writing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recache_ray.distributed.tuning_state import can_go_on
from recache_ray.errors import RunFailedError

WHOLE = json.dumps({"trial_data": [["{}", "{}"]], "runner_data": {}})


def write(folder: Path, second: int, text: str) -> Path:
    file = folder / f"experiment_state-2026-11-26_22-58-{second:02}.json"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_whole_state_is_accepted_whatever_lies_before_it(tmp_path: Path) -> None:
    write(tmp_path, 1, WHOLE[:10])
    write(tmp_path, 2, WHOLE)
    assert can_go_on(tmp_path)


@pytest.mark.parametrize("text", ["", WHOLE[: len(WHOLE) // 2], "{}", "[]"])
def test_a_state_that_is_not_whole_is_named_with_what_is_left(tmp_path: Path, text: str) -> None:
    earlier = write(tmp_path, 1, WHOLE)
    newest = write(tmp_path, 2, text)
    with pytest.raises(RunFailedError, match="did not finish writing") as failure:
        can_go_on(tmp_path)
    message = str(failure.value)
    assert str(newest) in message and earlier.name in message and "\n" not in message


def test_the_only_state_has_no_earlier_one_to_go_on_from(tmp_path: Path) -> None:
    write(tmp_path, 1, WHOLE[:5])
    with pytest.raises(RunFailedError, match=r"search anew$"):
        can_go_on(tmp_path)


def test_a_search_that_left_no_state_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "tuner.pkl").touch()
    assert not can_go_on(tmp_path)
