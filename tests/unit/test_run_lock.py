"""One writer per run folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recache_ray.errors import BadInputError
from recache_ray.run_lock import run_lock

HOLD = """
import sys, time
from recache_ray.run_lock import run_lock
with run_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_held_by_another_process_is_refused_and_free_once_it_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lines: list[str] = []
        with (
            pytest.raises(BadInputError, match=rf"^run\.dir = .*: process {holder.pid} on .* is writing to it; end it"),
            run_lock(tmp_path, wait_s=0.3, on_status=lines.append),
        ):
            pytest.fail("two writers")
        assert len(lines) == 1
        assert "waiting up to 0 s" in lines[0]
    finally:
        holder.kill()
        holder.wait()
    started = time.monotonic()
    with run_lock(tmp_path, wait_s=5):
        assert time.monotonic() - started < 2
        assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()


def test_released_at_the_end_of_the_block_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_lock(tmp_path):
        raise KeyError
    with run_lock(tmp_path, wait_s=0):
        pass


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="cannot be written to"), run_lock(tmp_path / "file" / "run"):
        pass
