"""The main loop: learn the policy by policy gradient, then polish its schedules on the validation prompts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from torch import Tensor

from recache_ray.config.learning import LearningConfig
from recache_ray.learning.checkpoint import Checkpoint, CheckpointStore
from recache_ray.learning.dispatch import Dispatcher
from recache_ray.learning.failures import FailureLedger
from recache_ray.learning.judges import Judges, screening_schedules
from recache_ray.learning.learner import Learner
from recache_ray.learning.measure import measure
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.plan import TaskPlan
from recache_ray.learning.polish import LocalSearch
from recache_ray.learning.progress import Progress, ProgressMeter, TrainingOutcome, work_metrics
from recache_ray.learning.screening import screen
from recache_ray.learning.validation import schedule_table, start_search, validation_metrics
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.tracking.base import Tracker
from recache_ray.types import GenerationRequest, RolloutFailure, RolloutGroup

POLL_S = 1.0


class Interrupted(Exception):
    """The stop event was set; caught by :meth:`TrainingLoop.run`."""


class TrainingLoop:
    """Drives learner and pool from the first task to the schedule table; see :meth:`run`.

    Args:
        validation: requests the schedules are chosen on, apart from the plan's training requests.
        tracker: where metrics go, by update number; None for nowhere.
        checkpoints: where state is saved; None keeps it in memory only.
        on_progress: told after every update and polishing round.
        stop: set from any thread to end the run early with a checkpoint.
        rivals: schedules per budget that polishing tries besides the policy's own.
    """

    def __init__(
        self,
        learner: Learner,
        plan: TaskPlan,
        pool: RolloutPool,
        validation: Sequence[GenerationRequest],
        section: LearningConfig,
        *,
        tracker: Tracker | None = None,
        checkpoints: CheckpointStore | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
        rivals: Mapping[int, Sequence[Schedule]] | None = None,
    ) -> None:
        self.learner, self.plan, self.pool, self.section = learner, plan, pool, section
        self.validation = tuple(validation)
        self.tracker, self.checkpoints = tracker, checkpoints
        self.stop = stop or threading.Event()
        self.rivals = dict(rivals or {})
        self.memo = RewardMemo(plan.mechanism)
        self.dispatcher = Dispatcher(plan, pool, self.memo, section, learner.snapshot())
        self.meter = ProgressMeter(on_progress)
        self.failures = FailureLedger(section.max_failure_share)
        self._serial = 0

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of :meth:`save`, before :meth:`run`.

        Raises:
            BadInputError: if it was written with another policy.
        """
        document = checkpoint.document
        for name, part in self._parts().items():
            prefix = f"{name}/"
            tensors = {key.removeprefix(prefix): t for key, t in checkpoint.tensors.items() if key.startswith(prefix)}
            part.load_state(tensors, document[name])
        self.failures.load_state(document["failures"])
        self._serial = checkpoint.serial

    def run(self) -> TrainingOutcome:
        """Learn and polish; a run killed at any moment and resumed ends with the same bits (deterministic order).

        Raises:
            RunFailedError: if too many tasks fail, the pool is lost or a checkpoint cannot be written.
        """
        table = None
        try:
            self.learn()
            table = self.polish(self.section.polish_evaluations)
        except Interrupted:
            pass
        self.save()
        return TrainingOutcome(table, self.learner.version, len(self.memo), self.failures.failed)

    def save(self) -> None:
        """Write a checkpoint of everything applied so far; what is still in the pool will be submitted again."""
        if self.checkpoints is None:
            return
        tensors: dict[str, Tensor] = {}
        document: dict[str, Any] = {
            "failures": self.failures.state(),
            "tracker_run_id": self.tracker.run_id if self.tracker else "",
        }
        for name, part in self._parts().items():
            part_tensors, document[name] = part.state()
            tensors |= {f"{name}/{key}": tensor for key, tensor in part_tensors.items()}
        self._serial += 1
        self.checkpoints.save(Checkpoint(self._serial, tensors, document))

    def _parts(self) -> dict[str, Learner | RewardMemo | Dispatcher]:
        return {"learner": self.learner, "memo": self.memo, "dispatch": self.dispatcher}

    def learn(self) -> None:
        """The policy-gradient phase: updates until there are ``num_updates``."""
        self.meter.begin("learn", self.learner.version)
        while self.learner.version < self.section.num_updates:
            self._check_stop()
            self.dispatcher.fill()
            results = self.dispatcher.take()
            if results is None:
                self.dispatcher.receive(self.pool.collect(timeout_s=POLL_S))
            else:
                self._apply(results)

    def _apply(self, results: Sequence[RolloutGroup | RolloutFailure]) -> None:
        """One policy update from the results of its tasks, in their order; failed tasks are left out."""
        groups = [result for result in results if isinstance(result, RolloutGroup)]
        failures = [result for result in results if isinstance(result, RolloutFailure)]
        self.failures.count(len(results), failures)
        stats = self.learner.update(groups)
        for group in groups:
            self.memo.record(group, self.learner.version)
        self.dispatcher.publish(self.learner.snapshot())
        metrics = {**stats.metrics, "rollout/failures": float(self.failures.failed), **work_metrics(groups)}
        self._log(metrics, self.learner.version)
        if self.learner.version % self.section.save_every == 0:
            self.save()
        self.meter.count(groups)
        self.meter.report("learn", self.learner.version, self.section.num_updates, metrics)

    def polish(self, evaluations: int) -> ScheduleTable:
        """Local search on the validation requests; rounds that the memo knows from before a resume cost nothing."""
        policy, version = self.learner.policy, self.learner.version
        task_ids = itertools.count(self.section.num_updates * self.section.tasks_per_update)
        judges = self.judges(task_ids) if evaluations else Judges.evenly(self.validation)
        search = start_search(
            policy,
            self.memo,
            version,
            judges,
            self.plan.requests,
            evaluations=evaluations,
            seed=self.plan.seed,
            rivals=self.rivals,
        )
        polish_failures = FailureLedger(self.section.max_failure_share)  # replayed with the rounds, so not saved
        self.meter.begin("polish", 0)
        while pairs := search.propose():
            self._check_stop()
            version += 1
            wanted = {pair: (judges.requests[pair[0]], pair[1]) for pair in pairs}
            missing = [pair for pair in wanted.values() if self.memo.get(*pair) is None]
            groups, failures = measure(self.pool, self.plan.mechanism, missing, task_ids, self._check_stop)
            polish_failures.count(len(groups) + len(failures), failures)
            for group in groups:
                self.memo.record(group, version)
            known = {pair: self.memo.get(*request_and_schedule) for pair, request_and_schedule in wanted.items()}
            search.observe({pair: None if found is None else found.reward for pair, found in known.items()})
            metrics = {**self._polish_metrics(search, judges), **work_metrics(groups)}
            if missing:
                self._log(metrics, version)
                self.save()
            self.meter.count(groups)
            self.meter.report("polish", search.spent, search.evaluations, metrics)
        if evaluations:
            policy.set_validated(search.best())
        return schedule_table(policy, self.memo, judges, search.best(), self.plan.seed)

    def judges(self, task_ids: Iterator[int]) -> Judges:
        """The validation requests the polish judges on: all, or as many as configured, after screening them all."""
        num = self.section.num_judges
        if not 0 < num < len(self.validation):
            return Judges.evenly(self.validation)
        judges = screen(
            self.pool,
            self.memo,
            self.validation,
            screening_schedules(self.learner.policy.num_steps, self.plan.budgets),
            num,
            seed=self.plan.seed,
            version=self.learner.version,
            failures=FailureLedger(self.section.max_failure_share),
            task_ids=task_ids,
            check_stop=self._check_stop,
            meter=self.meter,
        )
        self.save()
        return judges

    def _polish_metrics(self, search: LocalSearch, judges: Judges) -> dict[str, float]:
        rows = validation_metrics(self.memo, judges, search.best()).values()
        names = sorted({name for row in rows for name in row} - {"num_samples"})
        means = {f"polish/{name}": fmean(row[name] for row in rows if name in row) for name in names}
        return means | {"polish/evaluations": float(search.spent)}

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise Interrupted

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        if self.tracker is not None:
            self.tracker.log_metrics(metrics, step)
