"""GPU machines of AWS and Google Cloud, to compare with the resources a cluster file says they have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any


def _sizes(family: str, *rows: tuple[str, int, int]) -> dict[str, tuple[int, int]]:
    return {f"{family}{size}": (cpus, gpus) for size, cpus, gpus in rows}


_G = (
    ("xlarge", 4, 1),
    ("2xlarge", 8, 1),
    ("4xlarge", 16, 1),
    ("8xlarge", 32, 1),
    ("12xlarge", 48, 4),
    ("16xlarge", 64, 1),
)
_BIG_G = (("24xlarge", 96, 4), ("48xlarge", 192, 8))

GPU_MACHINES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "aws": {
        **_sizes("g4dn.", *_G, ("metal", 96, 8)),
        **_sizes("g5.", *_G, *_BIG_G),
        **_sizes("g6.", *_G, *_BIG_G),
        **_sizes("g6e.", *_G, *_BIG_G),
        **_sizes("p3.", ("2xlarge", 8, 1), ("8xlarge", 32, 4), ("16xlarge", 64, 8)),
        **_sizes("p4d.", ("24xlarge", 96, 8)),
        **_sizes("p4de.", ("24xlarge", 96, 8)),
        **_sizes("p5.", ("4xlarge", 16, 1), ("48xlarge", 192, 8)),
        **_sizes("p5e.", ("48xlarge", 192, 8)),
        **_sizes("p5en.", ("48xlarge", 192, 8)),
        **_sizes("p6-b200.", ("48xlarge", 192, 8)),
    },
    "gcp": {
        **_sizes("a2-highgpu-", ("1g", 12, 1), ("2g", 24, 2), ("4g", 48, 4), ("8g", 96, 8)),
        **_sizes("a2-ultragpu-", ("1g", 12, 1), ("2g", 24, 2), ("4g", 48, 4), ("8g", 96, 8)),
        **_sizes("a2-megagpu-", ("16g", 96, 16)),
        **_sizes("a3-highgpu-", ("1g", 26, 1), ("2g", 52, 2), ("4g", 104, 4), ("8g", 208, 8)),
        **_sizes("a3-megagpu-", ("8g", 208, 8)),
        **_sizes("a3-ultragpu-", ("8g", 224, 8)),
        **_sizes("a4-highgpu-", ("8g", 224, 8)),
        **_sizes("g2-standard-", ("4", 4, 1), ("8", 8, 1), ("12", 12, 1), ("16", 16, 1)),
        **_sizes("g2-standard-", ("24", 24, 2), ("32", 32, 1), ("48", 48, 4), ("96", 96, 8)),
    },
}
"""Provider to machine type to (virtual CPUs, GPUs), from the providers' instance tables."""

_MACHINE_KEY = {"aws": "InstanceType", "gcp": "machineType"}
_SHAPE = {
    "aws": re.compile(r"[a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|\d*xlarge|metal(?:-\d+xl)?)"),
    "gcp": re.compile(r"[a-z]\d+[a-z]?-(?:standard|highmem|highcpu|micro|small|medium)(?:-\d+)?"),
}


def machine_problems(provider: str, place: str, node_type: Mapping[str, Any]) -> Iterator[str]:
    """Compare a node type's machine with the resources it claims; ``provider`` is ``aws`` or ``gcp``."""
    key, known = _MACHINE_KEY[provider], GPU_MACHINES[provider]
    machine = str(node_type["node_config"].get(key, ""))
    claimed = {name: int(node_type["resources"].get(name, 0)) for name in ("CPU", "GPU")}
    where = f"{place}.node_config.{key} = {machine or 'missing'}"
    if node_type["node_config"].get("guestAccelerators"):
        return
    if machine in known:
        cpus, gpus = known[machine]
        if claimed["GPU"] != gpus:
            yield f"{where}: has {gpus} GPUs, but resources say {claimed['GPU']}; set GPU: {gpus}"
        if claimed["CPU"] > cpus:
            yield f"{where}: has {cpus} CPUs, but resources say {claimed['CPU']}; set CPU: {cpus}"
    elif claimed["GPU"] or not _SHAPE[provider].fullmatch(machine):
        close = difflib.get_close_matches(machine, known, n=1)
        guess = f"; did you mean {close[0]}?" if close else f"; known with GPUs are {', '.join(known)}"
        yield f"{where}: not a known machine{' with GPUs' if claimed['GPU'] else ''}{guess}"
