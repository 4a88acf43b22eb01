"""The main loop: learn the policy by policy gradient, polish its schedules on validation prompts, confirm the best."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from torch import Tensor

from recache_ray.config.learning import LearningConfig
from recache_ray.learning.checkpoint import Checkpoint, CheckpointStore
from recache_ray.learning.confirm import Confirmation, start_confirmation
from recache_ray.learning.dispatch import Dispatcher
from recache_ray.learning.failures import FailureLedger
from recache_ray.learning.judges import Judges, Jury, screening_schedules
from recache_ray.learning.learner import Learner
from recache_ray.learning.measure import measure
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.plan import TaskPlan
from recache_ray.learning.polish import LocalSearch
from recache_ray.learning.prior import Prior
from recache_ray.learning.progress import Interrupted, Progress, ProgressMeter, TrainingOutcome, work_metrics
from recache_ray.learning.screening import screen
from recache_ray.learning.validation import schedule_table, start_search, validation_metrics
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.tracking.base import Tracker
from recache_ray.types import GenerationRequest, RolloutFailure, RolloutGroup

POLL_S = 1.0


class TrainingLoop:
    """Drives learner and pool from the first task to the schedule table; see :meth:`run`.

    Args:
        validation: requests the schedules are chosen on, apart from the plan's training requests.
        tracker: where metrics go, by update number; None for nowhere.
        checkpoints: where state is saved; None keeps it in memory only.
        on_progress: told after every update and polishing round.
        stop: set from any thread to end the run early with a checkpoint.
        prior: what polishing knows before it measures.
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
        prior: Prior | None = None,
    ) -> None:
        self.learner, self.plan, self.pool, self.section = learner, plan, pool, section
        self.validation = tuple(validation)
        self.tracker, self.checkpoints = tracker, checkpoints
        self.stop = stop or threading.Event()
        self.prior = prior or Prior()
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
        """Local search on the validation requests, and its outcome confirmed on further ones.

        Rounds that the memo knows from before a resume cost nothing.
        """
        policy = self.learner.policy
        task_ids = itertools.count(self.section.num_updates * self.section.tasks_per_update)
        jury, version = self.jury(task_ids) if evaluations else (Jury.evenly(self.validation), self.learner.version)
        search = start_search(
            policy,
            self.memo,
            version,
            jury.search,
            self.plan.requests,
            evaluations=evaluations,
            seed=self.plan.seed,
            prior=self.prior,
        )
        version = self._rounds("polish", search, jury.search, version, task_ids)
        chosen = search.best()
        if evaluations:
            confirmation = start_confirmation(self.memo, version, jury, chosen, self.prior.rivals, self.plan.seed)
            self._rounds("confirm", confirmation, jury.confirming, version, task_ids)
            chosen = confirmation.best()
            policy.set_validated(chosen)
        return schedule_table(policy, self.memo, jury.reporting, chosen, self.plan.seed)

    def _rounds(
        self,
        phase: Literal["polish", "confirm"],
        search: LocalSearch | Confirmation,
        judges: Judges,
        version: int,
        task_ids: Iterator[int],
    ) -> int:
        """Measure what ``search`` asks for until it asks no more; a round counts one version. Returns the last."""
        failures = FailureLedger(self.section.max_failure_share)  # replayed with the rounds, so not saved
        self.meter.begin(phase, 0)
        while pairs := search.propose():
            self._check_stop()
            version += 1
            wanted = {pair: (judges.requests[pair[0]], pair[1]) for pair in pairs}
            missing = [pair for pair in wanted.values() if self.memo.get(*pair) is None]
            groups, failed = measure(self.pool, self.plan.mechanism, missing, task_ids, self._check_stop)
            failures.count(len(groups) + len(failed), failed)
            for group in groups:
                self.memo.record(group, version)
            known = {pair: self.memo.get(*request_and_schedule) for pair, request_and_schedule in wanted.items()}
            search.observe({pair: None if found is None else found.reward for pair, found in known.items()})
            metrics = {
                **self._means(phase, judges, search.best()),
                f"{phase}/evaluations": float(search.spent),
                **work_metrics(groups),
            }
            if missing:
                self._log(metrics, version)
                self.save()
            self.meter.count(groups)
            self.meter.report(phase, search.spent, search.evaluations, metrics)
        return version

    def jury(self, task_ids: Iterator[int]) -> tuple[Jury, int]:
        """Who judges: all validation requests, or as many as configured, after screening them all.

        Returns:
            The jury, and the version as of which the memo holds what screening measured.
        """
        num, version = self.section.num_judges, self.learner.version
        if not 0 < num < len(self.validation):
            return Jury.evenly(self.validation), version
        jury, groups = screen(
            self.pool,
            self.memo,
            self.validation,
            screening_schedules(self.learner.policy.num_steps, self.plan.budgets),
            num,
            self.section.num_confirming,
            seed=self.plan.seed,
            version=version + 1,
            failures=FailureLedger(self.section.max_failure_share),
            task_ids=task_ids,
            check_stop=self._check_stop,
            meter=self.meter,
        )
        if groups:
            self._log({"screen/requests": float(len(self.validation)), **work_metrics(groups)}, version + 1)
            self.save()
        return jury, version + 1

    def _means(self, phase: str, judges: Judges, schedules: Mapping[int, Schedule]) -> dict[str, float]:
        """Mean over budgets of what the schedules reached so far."""
        rows = validation_metrics(self.memo, judges, schedules).values()
        names = sorted({name for row in rows for name in row} - {"num_samples"})
        return {f"{phase}/{name}": fmean(row[name] for row in rows if name in row) for name in names}

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise Interrupted

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        if self.tracker is not None:
            self.tracker.log_metrics(metrics, step)
