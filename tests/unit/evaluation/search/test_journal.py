"""The record of a search on disk: round trip, torn end, damage."""

from pathlib import Path

import pytest

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.search.journal import Round, SearchJournal
from recache_ray.evaluation.work import Work
from recache_ray.schedules import Schedule

ROUNDS = (
    Round((Schedule(8, (0, 3)), Schedule(8, (0, 5))), (0.1 + 0.2, -1e-17), Work(2, 4, 3, 0.7)),
    Round((Schedule(8, (0, 1)),), (1 / 3,), Work(1, 2, 2, 0.1)),
)


def write(path: Path) -> Path:
    for played in ROUNDS:
        SearchJournal(path, 8).append(played)
    return path


def test_rounds_come_back_bit_for_bit(tmp_path: Path) -> None:
    assert SearchJournal(tmp_path / "new" / "k02.jsonl", 8).rounds == ()
    assert SearchJournal(write(tmp_path / "new" / "k02.jsonl"), 8).rounds == ROUNDS


def test_a_line_cut_off_anywhere_is_run_again_and_the_next_one_is_whole(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl").read_bytes()
    first = whole.index(b"\n") + 1
    for kept in range(first, len(whole)):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(whole[:kept])
        journal = SearchJournal(path, 8)
        assert journal.rounds == ROUNDS[:1]
        journal.append(ROUNDS[1])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("broken", [b"{}\n", b"no\n", b'{"steps": [[0]], "values": [], "work": {}}\n', b"\xff\n"])
def test_damage_before_the_end_is_named(tmp_path: Path, broken: bytes) -> None:
    path = write(tmp_path / "k02.jsonl")
    path.write_bytes(broken + path.read_bytes())
    with pytest.raises(BadInputError, match=r"k02\.jsonl: the search's record is damaged .*; delete it"):
        SearchJournal(path, 8)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = SearchJournal(tmp_path / "other" / "k02.jsonl", 8)
    (tmp_path / "other").write_text("in the way")
    with pytest.raises(RunFailedError, match="go on with the search"):
        journal.append(ROUNDS[0])
