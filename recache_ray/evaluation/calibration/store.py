"""A calibration on disk: ``<name>.safetensors`` with the figures, ``<name>.json`` with what they were measured on.

The JSON file is written last and holds the checksum of the other, so a calibration is whole or does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.work import Work

Key = Mapping[str, str | int | float]
"""Everything that determines a calibration: model, T, mechanism, prompts, seed."""

Figures = dict[str, NDArray[np.float64]]

_SHOWN_DIFFERENCES = 3


def load_calibration(folder: Path, name: str, key: Key) -> tuple[Figures, Work] | None:
    """The stored figures and what they took, or None where nothing is stored under ``name``.

    Raises:
        BadInputError: if they were measured on something else than ``key`` says, naming the differences, or a file is
            damaged.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        stored, checksum, cost = dict(document["key"]), document["sha256"], Work(**document["cost"])
        data = (folder / f"{name}.safetensors").read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    differing = [field for field in sorted(stored.keys() | key.keys()) if stored.get(field) != key.get(field)]
    if differing:
        shown = differing[:_SHOWN_DIFFERENCES]
        holds = ", ".join(f"{field} = {stored.get(field, 'absent')}" for field in shown)
        needs = ", ".join(f"{key.get(field, 'absent')}" for field in shown)
        more = f" ({len(differing) - len(shown)} more differ)" if len(differing) > len(shown) else ""
        raise BadInputError(
            f"{path}: was calibrated with {holds}, this evaluation needs {needs}{more}; "
            f"use another run.dir, or delete {folder} to calibrate again"
        )
    if hashlib.sha256(data).hexdigest() != checksum:
        raise _damaged(path, f"{name}.safetensors does not match its checksum")
    return {field: figures.astype(np.float64) for field, figures in load(data).items()}, cost


def save_calibration(folder: Path, name: str, key: Key, figures: Figures, cost: Work) -> None:
    """Write both files, atomically each, the one that makes them count last.

    Raises:
        RunFailedError: if the folder cannot be written.
    """
    data = save({field: np.ascontiguousarray(values, dtype=np.float64) for field, values in figures.items()})
    document = {"key": dict(key), "cost": asdict(cost), "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_atomically(folder / f"{name}.safetensors", lambda path: path.write_bytes(data))
        replace_atomically(folder / f"{name}.json", lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise RunFailedError(
            f"{folder}: cannot write the calibration ({error.strerror or error}); make room, run again"
        ) from error


def _damaged(path: Path, why: str) -> BadInputError:
    return BadInputError(f"{path}: the calibration is damaged ({why}); delete {path.parent} to calibrate again")
