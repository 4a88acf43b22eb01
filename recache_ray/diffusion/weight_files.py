"""Whether the weight files of a pipeline folder are whole, told from headers and sizes alone."""

from __future__ import annotations

import json
from pathlib import Path

from recache_ray.errors import BadInputError

_POINTER = b"version https://git-lfs"
_LENGTH_BYTES = 8


def check_weight_files(folder: Path) -> None:
    """Look at every safetensors file and every index of one.

    Raises:
        BadInputError: naming the file that is cut short, only a pointer to its contents, or missing.
    """
    for file in sorted(folder.rglob("*.safetensors")):
        fault = _fault(file)
        if fault:
            raise BadInputError(f"{file}: {fault}; delete it and download it again")
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        for name in sorted(set(_weight_map(index).values())):
            if not (index.parent / name).is_file():
                raise BadInputError(f"{index.parent / name}: is missing, {index.name} lists it; download it again")


def _fault(file: Path) -> str:
    """What is wrong with a safetensors file; empty where nothing is."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(_LENGTH_BYTES)
        if (start + stream.read(len(_POINTER))).startswith(_POINTER):
            return "is a Git LFS pointer, not the weights"
        stream.seek(_LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or _LENGTH_BYTES + length > size:
            return f"is cut short at {size} bytes, before the end of its header"
        try:
            header = json.loads(stream.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "has no readable safetensors header"
    wanted = _LENGTH_BYTES + length + max(ends, default=0)
    return "" if size == wanted else f"has {size} bytes, its header says {wanted}"


def _weight_map(index: Path) -> dict[str, str]:
    try:
        return dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{index}: is no readable index of weight files; download it again") from error
