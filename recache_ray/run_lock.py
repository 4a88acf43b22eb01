"""One writer per run folder, released by the operating system however the writer ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recache_ray.errors import BadInputError

_POLL_S = 0.2


@contextmanager
def run_lock(
    directory: str | os.PathLike[str], *, wait_s: float = 60.0, on_status: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold ``directory/.lock`` while the block runs.

    The lock belongs to the open file, so it is gone as soon as the process is, even after SIGKILL. A run that is
    started right after another was killed therefore waits until the last process of that one has ended.

    Args:
        directory: ``run.dir``; made if missing.
        wait_s: seconds to wait for another writer.
        on_status: told once, when waiting begins.

    Raises:
        BadInputError: if the folder cannot be written to or locked, or another process still holds it after ``wait_s``.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInputError(
            f"run.dir = {directory}: cannot be written to ({error.strerror}); choose another run.dir"
        ) from error
    try:
        _acquire(descriptor, directory, wait_s, on_status or (lambda line: None))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(
    descriptor: int, directory: str | os.PathLike[str], wait_s: float, on_status: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
        except OSError as error:
            raise BadInputError(
                f"run.dir = {directory}: cannot be locked ({error.strerror}); choose a folder on another file system"
            ) from error
        if time.monotonic() >= deadline:
            raise BadInputError(f"run.dir = {directory}: {holder} is writing to it; end it or choose another run.dir")
        if not told:
            on_status(f"run.dir = {directory}: {holder} still holds it, waiting up to {wait_s:.0f} s")
            told = True
        time.sleep(_POLL_S)
