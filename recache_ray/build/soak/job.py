"""The job that learns from a workload, here or in the learner actor, and records what each update counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from torch import Tensor

from recache_ray.build.progress import OnProgress
from recache_ray.build.soak.workload import BUDGETS, NUM_STEPS, Workload, make_worker
from recache_ray.config.learning import LearningConfig
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.learning.checkpoint import CheckpointStore
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.inline import InlinePool
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.run_lock import run_lock
from recache_ray.tracking.jsonl import JsonlTracker
from recache_ray.types import RolloutGroup, UpdateStats

COUNTED = "counted.jsonl"


class CountingLearner(Learner):
    """A learner that writes down which tasks moved the policy: one line an update, those undone by a resume removed.

    Args:
        path: the record, JSON lines of ``update``, ``tasks`` (ids) and ``rewards`` (one sum a task).
    """

    def __init__(self, policy: BudgetPolicy, section: LearningConfig, path: Path) -> None:
        super().__init__(policy, section)
        self._path = path

    def update(self, groups: Sequence[RolloutGroup]) -> UpdateStats:
        """As :meth:`Learner.update`, then record."""
        stats = super().update(groups)
        line = {
            "update": self.version,
            "tasks": [group.task_id for group in groups],
            "rewards": [sum(rollout.breakdown.reward for rollout in group.rollouts) for group in groups],
        }
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, json.dumps(line).encode() + b"\n")
        os.close(descriptor)
        return stats

    def forget_later(self) -> None:
        """Remove the lines of updates that the state at hand does not hold: they come again."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        kept = [line for line in lines if json.loads(line)["update"] <= self.version]
        partial_path = self._path.with_suffix(".partial")
        partial_path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        partial_path.replace(self._path)

    def load_state(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """As :meth:`Learner.load_state`."""
        super().load_state(tensors, document)
        self.forget_later()


@dataclass(frozen=True)
class SoakJob:
    """A picklable description of the job.

    Attributes:
        workload: what to learn.
        runtime: the pool of rollout actors; None runs everything in this process.
    """

    workload: Workload
    runtime: RuntimeConfig | None = None

    def run(self, report: OnProgress, stop: Event) -> str:
        """Learn to the end, resuming what the folder holds, and write ``policy/`` and ``schedules.json``.

        Raises:
            RunFailedError: as :meth:`TrainingLoop.run`.
        """
        work, folder = self.workload, Path(self.workload.folder)
        with run_lock(folder, on_status=report):
            policy = BudgetPolicy(num_steps=NUM_STEPS, budgets=list(BUDGETS), seed=work.seed)
            learner = CountingLearner(policy, work.learning, folder / COUNTED)
            checkpoints = CheckpointStore(folder / "checkpoints", work.learning.keep_checkpoints)
            checkpoint = checkpoints.load_newest(report)
            tracker = JsonlTracker(folder / "metrics.jsonl")
            tracker.resume_from(int(checkpoint.document["learner"]["version"]) if checkpoint else 0)
            with self._pool(report) as pool:
                loop = TrainingLoop(
                    learner,
                    work.plan(),
                    pool,
                    work.validation,
                    work.learning,
                    tracker=tracker,
                    checkpoints=checkpoints,
                    on_progress=report,
                    stop=stop,
                )
                if checkpoint is not None:
                    loop.resume(checkpoint)
                else:
                    learner.forget_later()  # the first update may have been recorded and not kept
                outcome = loop.run()
            if outcome.table is None:
                return "interrupted"
            policy.save_pretrained(folder / "policy")
            outcome.table.save(folder / "schedules.json")
            tracker.close()
        return "done"

    @contextmanager
    def _pool(self, report: OnProgress) -> Iterator[RolloutPool]:
        factory = partial(make_worker, self.workload)
        if self.runtime is None:
            yield InlinePool(factory("inline"))
            return
        from recache_ray.distributed.ray_pool import RayPool

        pool = RayPool(factory, self.runtime, report)
        try:
            yield pool
        finally:
            pool.close()
