"""Generations under gates that an evaluation has run already, kept in a file, so that none runs twice."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from recache_ray.evaluation.measure import OnProgress, run_tasks
from recache_ray.evaluation.measured import memory_file
from recache_ray.evaluation.record_file import RecordFile
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import (
    GateSpec,
    GenerationRequest,
    RewardBreakdown,
    Rollout,
    RolloutGroup,
    RolloutTask,
    TaskResult,
)

_SAVE_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class GatedPair:
    """One gate on one request under one mechanism: the schedule that arose, its reward, and what it took.

    ``gate`` and ``metrics`` are JSON; ``all_metrics`` is 1 where the metrics are those of an evaluation, 0 where only
    the reward's were asked for.
    """

    prompt: str
    noise_seed: int
    mechanism: str
    gate: str
    num_steps: int
    compute_steps: tuple[int, ...]
    reward: float
    metrics: str
    all_metrics: int
    partial_forwards: float
    forwards: int
    seconds: float

    @property
    def rollout(self) -> Rollout:
        """As the worker gave it."""
        return Rollout(
            schedule=Schedule(self.num_steps, self.compute_steps),
            log_prob=0.0,
            breakdown=RewardBreakdown(self.reward, json.loads(self.metrics)),
            partial_forwards=self.partial_forwards,
        )


_FILE = RecordFile(GatedPair, "measured gates")
_Key = tuple[str, int, str, str]


class MeasuredGates:
    """What gates did for one model, T and reward; ``gated-<digest>.parquet`` in a folder.

    A context manager: however its block ends, what was found in it is in the file.

    Args:
        folder: holds the file, one per identity.
        identity: everything but request, mechanism and gate that decides a measurement.

    Raises:
        BadInputError: if the file is there and cannot be read.
    """

    def __init__(self, folder: Path, identity: Mapping[str, object]) -> None:
        self.path = memory_file(folder, "gated", identity)
        rows = _FILE.read(self.path) if self.path.exists() else ()
        self._known: dict[_Key, GatedPair] = {(r.prompt, r.noise_seed, r.mechanism, r.gate): r for r in rows}
        self._unsaved = False
        self._saved_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._known)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._save()

    def run(
        self, pool: RolloutPool, tasks: Sequence[RolloutTask], phase: str, on_progress: OnProgress | None = None
    ) -> list[TaskResult]:
        """As :func:`~recache_ray.evaluation.measure.run_tasks`, but gates that are known do not run again.

        A group states the forwards and seconds of all its gates, those that were known included.

        Raises:
            RunFailedError: as ``run_tasks``, or if the file cannot be written.
        """
        missing = {task.task_id: tuple(gate for gate in task.gates if self._find(task, gate) is None) for task in tasks}
        asked = [replace(task, gates=missing[task.task_id]) for task in tasks if missing[task.task_id]]
        by_id = {task.task_id: task for task in asked}

        def remember(result: TaskResult) -> None:
            if isinstance(result, RolloutGroup):
                self._add(by_id[result.task_id], result)

        results = run_tasks(pool, asked, phase, on_progress, remember)
        failed = {result.task_id: result for result in results if not isinstance(result, RolloutGroup)}
        return [failed[task.task_id] if task.task_id in failed else self._group(task) for task in tasks]

    def _save(self) -> None:
        """Write what was added; does nothing if nothing was."""
        self._saved_at = time.monotonic()
        if self._unsaved:
            _FILE.write(self._known.values(), self.path)
            self._unsaved = False

    def _find(self, task: RolloutTask, gate: GateSpec) -> GatedPair | None:
        found = self._known.get(_key(task.request, task, gate))
        return None if found is None or (task.all_metrics and not found.all_metrics) else found

    def _add(self, task: RolloutTask, group: RolloutGroup) -> None:
        # gates run one after another and share no forwards, so what was requested is what ran
        steps = sum(rollout.schedule.budget for rollout in group.rollouts)
        for gate, rollout in zip(task.gates, group.rollouts, strict=True):
            key, share = _key(group.request, task, gate), rollout.schedule.budget / steps
            self._known[key] = GatedPair(
                *key,
                num_steps=rollout.schedule.num_steps,
                compute_steps=rollout.schedule.compute_steps,
                reward=rollout.breakdown.reward,
                metrics=json.dumps(dict(rollout.breakdown.metrics)),
                all_metrics=int(task.all_metrics),
                partial_forwards=rollout.partial_forwards,
                forwards=round(group.forwards_requested * share),
                seconds=group.seconds * share,
            )
        self._unsaved = True
        if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
            self._save()

    def _group(self, task: RolloutTask) -> RolloutGroup:
        pairs = [self._known[_key(task.request, task, gate)] for gate in task.gates]
        forwards = sum(pair.forwards for pair in pairs)
        return RolloutGroup(
            task_id=task.task_id,
            request=task.request,
            policy_version=task.policy_version,
            rollouts=tuple(pair.rollout for pair in pairs),
            forwards_requested=forwards,
            forwards_executed=forwards,
            seconds=sum(pair.seconds for pair in pairs),
        )


def run_gates(
    pool: RolloutPool,
    tasks: Sequence[RolloutTask],
    phase: str,
    on_progress: OnProgress | None = None,
    memory: MeasuredGates | None = None,
) -> list[TaskResult]:
    """:meth:`MeasuredGates.run` where there is a memory, else every gate runs."""
    if memory is None:
        return run_tasks(pool, tasks, phase, on_progress)
    return memory.run(pool, tasks, phase, on_progress)


def _key(request: GenerationRequest, task: RolloutTask, gate: GateSpec) -> _Key:
    return request.prompt.text, request.noise_seed, task.mechanism.id, json.dumps(asdict(gate), sort_keys=True)
