"""Whether a run counted every task once, and whether two runs ended alike."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from recache_ray.build.soak.job import COUNTED
from recache_ray.build.soak.workload import TASKS_PER_UPDATE, Workload
from recache_ray.tracking.jsonl import read_metrics

_SHOWN = 5


def counted(folder: Path) -> list[dict[str, Any]]:
    """The complete lines of the record, one for every update whose effect is in the policy."""
    path = folder / COUNTED
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def count_problems(workload: Workload) -> list[str]:
    """What is wrong with the tasks a finished run has counted; empty where each moved the policy exactly once."""
    lines = counted(Path(workload.folder))
    times = Counter(task for line in lines for task in line["tasks"])
    missing = [task for task in range(workload.tasks) if not times[task]]
    twice = sorted(task for task, number in times.items() if number > 1)
    beyond = sorted(task for task in times if task >= workload.tasks)
    strayed = [line["update"] for line in lines if any(_update_of(task) != line["update"] for task in line["tasks"])]
    metrics = Path(workload.folder) / "metrics.jsonl"
    steps = [line.step for line in read_metrics(metrics)] if metrics.exists() else []
    problems = [
        f"{what}: {len(found)}, first {found[:_SHOWN]}"
        for what, found in (
            ("tasks never counted", missing),
            ("tasks counted twice", twice),
            ("tasks that are none of the run's", beyond),
            ("updates that counted tasks of another", strayed),
        )
        if found
    ]
    if [step for step in steps if step <= workload.updates] != list(range(1, workload.updates + 1)):
        problems.append(f"metrics.jsonl does not hold every update from 1 to {workload.updates} once, in order")
    return problems


def weights(folder: Path) -> bytes:
    """The final policy; empty where the run did not end."""
    path = folder / "policy" / "model.safetensors"
    return path.read_bytes() if path.exists() else b""


def fingerprint(content: bytes) -> str:
    """SHA-256, shortened."""
    return hashlib.sha256(content).hexdigest()[:16]


def differences(disturbed: Path, undisturbed: Path) -> list[str]:
    """What two finished runs do not have in common, of all that the learning gave."""
    problems = []
    ours, theirs = weights(disturbed), weights(undisturbed)
    if not ours or ours != theirs:
        problems.append(f"weights differ: {fingerprint(ours)}, undisturbed {fingerprint(theirs)}")
    if counted(disturbed) != counted(undisturbed):
        problems.append("the rewards of some update differ from the undisturbed run's")
    tables = [folder / "schedules.json" for folder in (disturbed, undisturbed)]
    texts = [json.loads(path.read_text(encoding="utf-8")) if path.exists() else None for path in tables]
    if texts[0] is None or texts[0] != texts[1]:
        problems.append("the schedules differ from the undisturbed run's")
    return problems


def _update_of(task: int) -> int:
    return int(task) // TASKS_PER_UPDATE + 1
