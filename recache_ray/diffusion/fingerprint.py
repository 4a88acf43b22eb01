"""Fingerprints of weights and configurations, so that what another model made is never mistaken for this one's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn, uint8

_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model", ".bin"})


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of a pipeline folder's weights, configurations and tokenizers."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def state_fingerprint(*modules: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of modules that have no file."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\0".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(uint8).numpy().tobytes())
    return digest.hexdigest()


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a component's configuration without diffusers' private bookkeeping."""
    plain = {name: value for name, value in config.items() if not name.startswith("_")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
