"""Temporary folders of local clusters."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from recache_ray.distributed.session_folder import session_folder

HOLD = """
import tempfile, time, sys
tempfile.tempdir = sys.argv[1]
from recache_ray.distributed.session_folder import session_folder
with session_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def test_folders_of_the_living_stay_and_those_of_the_killed_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as root:  # pytest's own path is too long for sockets
        monkeypatch.setattr(tempfile, "tempdir", root)
        other = subprocess.Popen([sys.executable, "-c", HOLD, root], stdout=subprocess.PIPE, text=True)
        try:
            assert other.stdout is not None
            theirs = Path(other.stdout.readline().strip())
            with session_folder() as mine:
                assert theirs.exists()
                assert Path(mine).parent == Path(root)
            assert not Path(mine).exists()
        finally:
            other.kill()
            other.wait()
        assert theirs.exists()
        with session_folder():
            assert not theirs.exists()


def test_a_long_temporary_root_is_avoided(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 40)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with session_folder() as folder:
        assert folder.startswith("/tmp/recache-")
