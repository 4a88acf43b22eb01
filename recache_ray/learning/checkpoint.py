"""Checkpoints that appear whole or not at all: safetensors, JSON and their checksums in one folder.

Layout: ``<directory>/checkpoint-00000012/{tensors.safetensors, state.json, checksums.json}``. A folder is written
under a hidden name, flushed to disk and renamed, so a kill at any moment leaves the earlier ones as they were.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from recache_ray.errors import RunFailedError
from recache_ray.patience import patiently

_NAME = re.compile(r"checkpoint-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run: tensors by name, and everything else as one JSON document."""

    serial: int
    tensors: Mapping[str, Tensor]
    document: Mapping[str, Any]


class CheckpointStore:
    """Writes numbered checkpoints into a directory and keeps the newest ``keep``."""

    def __init__(self, directory: str | os.PathLike[str], keep: int = 3) -> None:
        self.directory = Path(directory)
        self.keep = keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint atomically, then drop the oldest beyond ``keep``.

        A filesystem that is away for a moment is waited for.

        Raises:
            RunFailedError: if the disk is full or the directory cannot be written; earlier checkpoints are intact.
        """
        target = self.directory / f"checkpoint-{checkpoint.serial:08d}"
        hidden = self.directory / f".{target.name}.partial"
        contents = {
            "tensors.safetensors": to_safetensors({name: t.contiguous() for name, t in checkpoint.tensors.items()}),
            "state.json": json.dumps(checkpoint.document).encode(),
        }
        checksums = {name: hashlib.sha256(payload).hexdigest() for name, payload in contents.items()}
        contents["checksums.json"] = json.dumps(checksums, indent=2).encode()
        try:
            patiently(lambda: _publish(contents, hidden, target), str(target))
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            what = "no space left on the disk" if error.errno == errno.ENOSPC else str(error)
            raise RunFailedError(
                f"{target}: checkpoint not written, {what}; earlier checkpoints are intact: "
                "free some space or fix the folder and run the same command again to resume"
            ) from error
        for _, folder in self._folders()[: -self.keep]:
            shutil.rmtree(folder, ignore_errors=True)
        return target

    def load_newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """Read the newest whole checkpoint, telling ``warn`` about each newer one passed over; None if there is none.

        Raises:
            RunFailedError: if there are checkpoints and none is readable.
        """
        folders = self._folders()
        for serial, folder in reversed(folders):
            try:
                return patiently(partial(_read, serial, folder), str(folder))
            except (OSError, ValueError, KeyError, TypeError) as error:
                warn(f"{folder}: checkpoint is damaged ({error}); falling back to the one before")
        if folders:
            raise RunFailedError(
                f"{self.directory}: none of its {len(folders)} checkpoints is readable; "
                "restore one from a backup, or remove the folder to start over"
            )
        return None

    def _folders(self) -> list[tuple[int, Path]]:
        if not self.directory.is_dir():
            return []
        matches = ((_NAME.fullmatch(folder.name), folder) for folder in self.directory.iterdir())
        return sorted((int(match[1]), folder) for match, folder in matches if match is not None)


def _read(serial: int, folder: Path) -> Checkpoint:
    checksums = json.loads((folder / "checksums.json").read_bytes())
    payloads = {name: (folder / name).read_bytes() for name in ("tensors.safetensors", "state.json")}
    for name, payload in payloads.items():
        if hashlib.sha256(payload).hexdigest() != checksums[name]:
            raise ValueError(f"{name} does not match its checksum")
    return Checkpoint(serial, load_safetensors(payloads["tensors.safetensors"]), json.loads(payloads["state.json"]))


def _publish(contents: Mapping[str, bytes], hidden: Path, target: Path) -> None:
    """Write the files into a hidden folder and rename it; begins anew where it was cut off before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir()
    for name, payload in contents.items():
        _write_flushed(hidden / name, payload)
    _flush_directory(hidden)
    if target.exists():  # an unreadable one, passed over when this run resumed, or written just before it was cut off
        shutil.rmtree(target)
    hidden.replace(target)
    _flush_directory(target.parent)


def _write_flushed(path: Path, payload: bytes) -> None:
    with path.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
