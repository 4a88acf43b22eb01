"""A rollout worker without a model: instant, deterministic, and able to misbehave on request. Imports no torch."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules import Schedule
from recache_ray.types import (
    BatchReport,
    BatchTask,
    GenerationRequest,
    MechanismSpec,
    PolicySnapshot,
    Prompt,
    ReferenceReport,
    ReferenceTask,
    RewardBreakdown,
    Rollout,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    Task,
    TaskResult,
)

NUM_STEPS = 12


def fake_task(task_id: int, behaviour: str = "", *, budgets: tuple[int, ...] = (3, 5)) -> RolloutTask:
    """A task whose prompt says how the worker shall behave, see :class:`FakeWorker`."""
    request = GenerationRequest(Prompt(task_id, behaviour or f"prompt {task_id}"), noise_seed=task_id)
    schedules = tuple(Schedule(NUM_STEPS, tuple(range(budget))) for budget in budgets)
    return RolloutTask(task_id, request, MechanismSpec("reuse"), schedules=schedules)


def build_fake_worker(folder: str, name: str, delay_s: float = 0.0) -> FakeWorker:
    """The factory that pools are given: ``functools.partial(build_fake_worker, folder)``.

    A file ``start-<behaviour>`` in the folder makes it fail: ``start-bad-input``, ``start-defect``, ``start-die``,
    ``start-hang``.
    """
    with (Path(folder) / f"built-{name}").open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    if (Path(folder) / "start-bad-input").exists():
        raise BadInputError("model.path = 'nowhere': no such folder; give one with model_index.json")
    if (Path(folder) / "start-defect").exists():
        raise ValueError("tensor of the wrong shape")
    if (Path(folder) / "start-die").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (Path(folder) / "start-hang").exists():
        time.sleep(3600)
    return FakeWorker(Path(folder), name, delay_s)


@dataclass
class FakeWorker:
    """Rewards are a hash of request and schedule. The prompt's text may ask for trouble.

    ``die`` and ``hang`` always misbehave, ``die once`` and ``hang once`` only the first time, on whatever worker;
    ``raise`` raises a ValueError, ``full disk`` a RunFailedError; ``not finite`` returns a failure; ``warn`` logs a
    warning; ``sleep <seconds>`` takes its time.

    Attributes:
        folder: receives a file ``<task_id>.started`` with one line per attempt: the process id.
    """

    folder: Path
    name: str
    delay_s: float = 0.0

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        with (self.folder / f"{task.task_id}.started").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(self.delay_s)
        if isinstance(task, ReferenceTask):
            return ReferenceReport(task.task_id, len(task.requests), 0.0, self.name)
        if isinstance(task, BatchTask):
            return BatchReport(task.task_id, tuple(self._group(part, None) for part in task.parts), self.name)
        assert isinstance(task, RolloutTask)
        text = task.request.prompt.text
        first = len((self.folder / f"{task.task_id}.started").read_text(encoding="utf-8").split()) == 1
        if text == "die" or (text == "die once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "hang" or (text == "hang once" and first):
            time.sleep(3600)
        if text.startswith("sleep "):
            time.sleep(float(text.split()[1]))
        if text == "raise":
            raise ValueError("index 7 is out of bounds")
        if text == "full disk":
            raise RunFailedError("references.dir = /full: cannot write 4 references (No space left); free space")
        if text == "warn":
            logging.getLogger("recache_ray.testing").warning("shard 7 is damaged")
        if text == "not finite":
            return RolloutFailure(task.task_id, "generation is not finite", worker=self.name)
        return self._group(task, snapshot)

    def _group(self, task: RolloutTask, snapshot: PolicySnapshot | None) -> RolloutGroup:
        return RolloutGroup(
            task_id=task.task_id,
            request=task.request,
            policy_version=snapshot.version if snapshot else 0,
            rollouts=tuple(Rollout(each, 0.0, _reward(task.request, each)) for each in task.schedules),
            forwards_requested=sum(each.budget for each in task.schedules),
            forwards_executed=len({each.prefix(step) for each in task.schedules for step in each.compute_steps}),
            seconds=self.delay_s,
            worker=self.name,
        )


def _reward(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    digest = hashlib.sha256(f"{request.noise_seed} {schedule}".encode()).digest()
    lpips = (1 + int.from_bytes(digest[:4], "little")) / 2**32
    return RewardBreakdown(-lpips, {"lpips": lpips})
