"""Files that appear whole or not at all, whatever kills the writer."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PARTIAL_SUFFIX = ".partial"


@contextmanager
def partial_file(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A hidden new file in ``folder``, open for writing; it is gone after the block unless the block renamed it.

    Readers of a folder skip names that start with a dot. Publish with :func:`sync`, then ``path.replace(final)``.
    The mode follows the umask, so that a store shared between users stays shared.
    """
    path = folder / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
    try:
        with path.open("xb") as stream:
            yield path, stream
    finally:
        path.unlink(missing_ok=True)


def sync(stream: IO[bytes]) -> None:
    """Wait until what was written is on disk, so that errors show before the file counts."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until renames in ``folder`` are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
