import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recache_ray.errors import BadInputError
from recache_ray.tracking.jsonl import JsonlTracker, read_metrics


def test_each_record_is_on_disk_as_one_json_line_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    tracker = JsonlTracker(path)
    for step in range(3):
        tracker.log_metrics({"reward/lpips/mean": 0.5 / (step + 1), "policy/entropy": float(step)}, step)
        lines = path.read_text().splitlines()
        assert len(lines) == step + 1
    records = [json.loads(line) for line in lines]
    assert [set(record) for record in records] == [{"step", "time", "metrics"}] * 3
    assert records[1]["metrics"] == {"reward/lpips/mean": 0.25, "policy/entropy": 1.0}
    tracker.close()
    tracker.close()


def test_non_finite_values_are_null_and_the_file_stays_valid_json(tmp_path: Path) -> None:
    tracker = JsonlTracker(tmp_path / "metrics.jsonl")
    tracker.log_metrics({"a": math.nan, "b": math.inf, "c": 1}, 0)
    assert next(read_metrics(tmp_path / "metrics.jsonl")).metrics == {"a": None, "b": None, "c": 1.0}


def test_resume_cuts_later_updates_and_evaluation_but_not_a_budget_that_looks_like_a_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tracker = JsonlTracker(path)
    for step in range(6):
        tracker.log_metrics({"loss": float(step)}, step)
    tracker.log_metrics({"eval/lpips": 0.1, "eval/psnr": 30.0}, 2)
    tracker.close()

    resumed = JsonlTracker(path)
    assert [line.step for line in read_metrics(path)] == [0, 1, 2, 3, 4, 5, 2]
    before = path.read_bytes().splitlines()[:4]
    resumed.resume_from(3)
    assert path.read_bytes().splitlines() == before
    resumed.log_metrics({"loss": 4.0}, 4)
    assert [line.step for line in read_metrics(path)] == [0, 1, 2, 3, 4]
    resumed.log_metrics({"eval/lpips": 0.1}, 9)
    resumed.resume_from()
    assert [line.step for line in read_metrics(path)] == [0, 1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_cut_short_is_removed_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tracker = JsonlTracker(path)
    tracker.log_metrics({"loss": 1.0}, 0)
    tracker.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 1, "ti')
    JsonlTracker(path).log_metrics({"loss": 2.0}, 1)
    assert path.read_bytes().startswith(whole)
    assert [line.step for line in read_metrics(path)] == [0, 1]


def test_sigkill_loses_no_record_whose_call_returned(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    script = (
        "import sys, pathlib\n"
        "from recache_ray.tracking.jsonl import JsonlTracker\n"
        f"tracker = JsonlTracker(pathlib.Path({str(path)!r}))\n"
        "for step in range(10**9):\n"
        "    tracker.log_metrics({'loss': 1.0}, step)\n"
        "    print(step, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 200:
            pass
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = [int(line) for line in process.stdout.read().split("\n")[:-1]]
    steps = [line.step for line in read_metrics(path)]
    assert steps == list(range(len(steps)))
    assert len(steps) > max(acknowledged, default=200)


def test_a_full_disk_warns_once_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    tracker = JsonlTracker(path)
    tracker.log_metrics({"loss": 0.0}, 0)
    real_write, room = os.write, [25]

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = real_write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)
    for step in (1, 2, 3):
        tracker.log_metrics({"loss": float(step)}, step)
    assert len(caplog.messages) == 1 and "No space left" in caplog.messages[0]
    assert [line.step for line in read_metrics(path)] == [0]
    monkeypatch.setattr(os, "write", real_write)
    tracker.log_metrics({"loss": 4.0}, 4)
    assert [line.step for line in read_metrics(path)] == [0, 1, 2, 3, 4]


def test_a_file_that_is_something_else_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("hello\n")
    with pytest.raises(BadInputError, match=r"not a metrics\.jsonl"):
        JsonlTracker(path)
    assert path.read_text() == "hello\n"


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=r"choose another run\.dir"):
        JsonlTracker(tmp_path / "file" / "metrics.jsonl")
