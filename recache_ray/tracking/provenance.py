"""Where a result came from: versions, commit, machine and date; nothing that names a person, host or folder."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_PACKAGES = ("recache_ray", "torch", "diffusers", "transformers", "lpips", "numpy", "ray", "mlflow")


def provenance(seed: int) -> dict[str, str | int]:
    """Flat facts for ``schedules.json``, ``config.json`` and tracker tags.

    Keys: ``seed``, ``date`` (UTC), ``git_commit`` (with ``-dirty`` when the checkout has changes; left out outside a
    checkout), ``python``, ``system``, ``cpu``, ``cpu_count``, ``memory_gib``, ``gpu`` (left out without one), and
    ``version/<package>`` for every package that determines results.
    """
    facts: dict[str, str | int] = {
        "seed": seed,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cpu_count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        **_memory(),
        **_gpu(),
        **_commit(),
    }
    for package in _PACKAGES:
        try:
            facts[f"version/{package}"] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return facts


def _commit() -> dict[str, str | int]:
    """The commit of the checkout this package lies at the top of, not of one that merely holds its environment."""
    checkout = Path(__file__).resolve().parents[2]
    try:
        if Path(_git(checkout, "rev-parse", "--show-toplevel")).resolve() != checkout:
            return {}
        return {"git_commit": _git(checkout, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")}
    except (OSError, subprocess.SubprocessError):
        return {}


def _git(checkout: Path, *arguments: str) -> str:
    command = ("git", "-C", str(checkout), *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def _cpu_model() -> str:
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or "unknown"


def _memory() -> dict[str, str | int]:
    try:
        return {"memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)}
    except (ValueError, OSError, AttributeError):
        return {}


def _gpu() -> dict[str, str | int]:
    import torch

    if not torch.cuda.is_available():
        return {}
    return {"gpu": f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"}
