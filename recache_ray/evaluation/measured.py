"""Generations an evaluation has measured already, kept in a file, so that another baseline costs only its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recache_ray.evaluation.record_file import RecordFile
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, RewardBreakdown, RolloutGroup

_SAVE_EVERY = 2000


@dataclass(frozen=True, slots=True)
class MeasuredPair:
    """One schedule on one request under one mechanism, with reward and metrics; metrics as JSON."""

    prompt: str
    noise_seed: int
    mechanism: str
    num_steps: int
    compute_steps: tuple[int, ...]
    reward: float
    metrics: str


_FILE = RecordFile(MeasuredPair, "measured generations")
_Key = tuple[str, int, str]


class MeasuredGenerations:
    """What was measured for one model, T and reward; ``measured-<digest>.parquet`` in a folder.

    A generation made again in a batch of other siblings may differ in its last bits; here it is measured once.

    Args:
        folder: holds the file, one per identity.
        identity: everything but request, mechanism and schedule that decides a measurement.

    Raises:
        BadInputError: if the file is there and cannot be read.
    """

    def __init__(self, folder: Path, identity: Mapping[str, object]) -> None:
        self.path = memory_file(folder, "measured", identity)
        self._known: dict[_Key, dict[Schedule, RewardBreakdown]] = {}
        self._unsaved = 0
        for row in _FILE.read(self.path) if self.path.exists() else ():
            schedule = Schedule(row.num_steps, row.compute_steps)
            known = self._known.setdefault((row.prompt, row.noise_seed, row.mechanism), {})
            known[schedule] = RewardBreakdown(row.reward, json.loads(row.metrics))

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def known(
        self, request: GenerationRequest, mechanism: MechanismSpec, schedules: Iterable[Schedule]
    ) -> dict[Schedule, RewardBreakdown]:
        """Those of ``schedules`` that were measured on the request."""
        rows = self._known.get(_key(request, mechanism), {})
        return {schedule: rows[schedule] for schedule in schedules if schedule in rows}

    def add(self, group: RolloutGroup, mechanism: MechanismSpec) -> None:
        """Keep a group with all metrics; written to the file from time to time, and by :meth:`save`.

        Raises:
            RunFailedError: if the file cannot be written.
        """
        rows = self._known.setdefault(_key(group.request, mechanism), {})
        rows.update((rollout.schedule, rollout.breakdown) for rollout in group.rollouts)
        self._unsaved += len(group.rollouts)
        if self._unsaved >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write what was added; does nothing if nothing was.

        Raises:
            RunFailedError: if the file cannot be written.
        """
        if not self._unsaved:
            return
        pairs = [
            MeasuredPair(*key, schedule.num_steps, schedule.compute_steps, b.reward, json.dumps(dict(b.metrics)))
            for key, rows in self._known.items()
            for schedule, b in rows.items()
        ]
        _FILE.write(pairs, self.path)
        self._unsaved = 0


def memory_file(folder: Path, kind: str, identity: Mapping[str, object]) -> Path:
    """Where what was measured is kept, a file for each identity."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return folder / f"{kind}-{digest[:12]}.parquet"


def _key(request: GenerationRequest, mechanism: MechanismSpec) -> _Key:
    return request.prompt.text, request.noise_seed, mechanism.id
