"""The temporary folder of a local cluster (sockets and logs), removed even when its driver was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "recache-"
_OWNER = ".owner"
_LONGEST_ROOT = 32  # socket paths end at 107 characters, Ray adds about 70


@contextmanager
def session_folder() -> Iterator[str]:
    """A short, private path for one cluster; sweeps away the folders of drivers that did not live to do so.

    The driver holds a lock in its folder, which the operating system releases with the process.
    """
    root = Path(tempfile.gettempdir())
    if len(str(root)) > _LONGEST_ROOT:
        root = Path("/tmp")
    _sweep(root)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    owner = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


def _sweep(root: Path) -> None:
    for marker in root.glob(f"{_PREFIX}*/{_OWNER}"):
        try:
            owner = os.open(marker, os.O_RDWR)
        except OSError:
            continue  # another user's, or just gone
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(marker.parent, ignore_errors=True)
        except OSError:
            continue  # in use
        finally:
            os.close(owner)
