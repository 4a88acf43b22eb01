"""How much memory is free on the device a worker runs on."""

from __future__ import annotations

import os
import re
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def free_memory(device: str) -> tuple[int, str]:
    """Free bytes of ``cuda`` (this process's GPU) or of main memory, and what to call the device.

    Main memory is what the kernel could hand out without swapping, and no more than the container's limit leaves.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0]), f"GPU {torch.cuda.get_device_name()}"
    limits = [bytes_free for bytes_free in (_kernel_estimate(), _container_room()) if bytes_free is not None]
    return min(limits) if limits else _physical(), "this machine"


def _kernel_estimate() -> int | None:
    try:
        match = re.search(r"^MemAvailable:\s*(\d+) kB", _MEMINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def _container_room() -> int | None:
    """Bytes below the limit of this container (cgroup version 2); page cache it could drop counts as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="utf-8").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="utf-8"))
        statistics = (_CGROUP / "memory.stat").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    droppable = re.search(r"^inactive_file (\d+)$", statistics, re.MULTILINE)
    return max(0, int(limit) - used + (int(droppable[1]) if droppable else 0))


def _physical() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
