"""One diffusion model, its references and its reward, ready to run tasks. A plain class: it knows no processes.

Sizes: M siblings of one task.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch

from recache_ray.caching.registry import build_executor
from recache_ray.diffusion.adapter import Generation, ModelAdapter, UnusableGenerationError
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.diffusion.generate import generate
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.references.encoding import encode_frames
from recache_ray.references.reference import Reference
from recache_ray.references.store import MissingReferenceError, ReferenceStore
from recache_ray.rewards.scorer import Scorer
from recache_ray.rollouts.batched import run_batch
from recache_ray.rollouts.calibration import calibrate
from recache_ray.rollouts.gated import GateRunner
from recache_ray.rollouts.reference_cache import ReferenceCache
from recache_ray.rollouts.sampling import ScheduleSampler
from recache_ray.schedules import Schedule
from recache_ray.types import (
    BatchReport,
    BatchTask,
    CalibrationTask,
    GenerationRequest,
    ModelReport,
    PolicySnapshot,
    ProbeTask,
    ReferenceReport,
    ReferenceTask,
    RewardBreakdown,
    Rollout,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    SignalTask,
    Task,
    TaskResult,
)

_LOG = logging.getLogger(__name__)


class RolloutWorker:
    """Runs tasks one after another; equal tasks give equal results in whichever process.

    Args:
        adapter: the model.
        store: references of this model.
        scorer: the reward.
        max_batch: most siblings in one pipeline call.
        name: recorded with every result.
        threads: torch threads of this process; their number decides the last bits of a result on the CPU.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        store: ReferenceStore,
        scorer: Scorer,
        max_batch: int,
        name: str,
        threads: int = 1,
    ) -> None:
        torch.set_num_threads(threads)
        self._adapter = adapter
        self._store = store
        self._references = ReferenceCache(store)
        self._scorer = scorer
        self._max_batch = max_batch
        self._name = name
        self._sampler = ScheduleSampler()
        self._gates = GateRunner(adapter, scorer)
        self._encoded = False

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        """Run one task. A generation or metric that is not finite makes a ``RolloutFailure``.

        Raises:
            BadInputError: if the task does not fit the model, or samples from a policy and none came with it.
            RunFailedError: if the reference store cannot be written to.
        """
        try:
            match task:
                case ReferenceTask():
                    return self._fill(task)
                case RolloutTask():
                    return self._roll_out(task, snapshot)
                case BatchTask():
                    return self._roll_out_batch(task)
                case ProbeTask():
                    return self._probe(task)
                case CalibrationTask():
                    return calibrate(self._adapter, self._reference(task.request).embeddings, task, self._name)
                case SignalTask():
                    return self._gates.record(task, self._reference(task.request), self._name)
        except UnusableGenerationError as error:
            return RolloutFailure(task.task_id, reason=str(error), retryable=False, worker=self._name)

    def _fill(self, task: ReferenceTask) -> ReferenceReport:
        started = time.perf_counter()
        self._store.refresh()
        references = []
        try:
            for request in self._store.missing(task.requests):
                references.append(self._make_reference(request))
        finally:  # one generation that is not finite must not waste the others
            written = self._store.write(references)
        return ReferenceReport(task.task_id, written, time.perf_counter() - started, self._name)

    def _make_reference(self, request: GenerationRequest) -> Reference:
        embeddings = self._adapter.encode(request.prompt.text)
        self._encoded = True
        uncached = [Schedule.full(self._adapter.spec.num_steps)]
        image = generate(self._adapter, embeddings, request, uncached, mechanism=None).images[0]
        return Reference(request, image, embeddings)

    def _reference(self, request: GenerationRequest) -> Reference:
        """Read a reference, or make it again where its shard was found damaged: it is the same, bit for bit."""
        try:
            return self._references.read(request)
        except MissingReferenceError:
            _LOG.warning("reference of %r is not in the store; making it again", request.prompt.text)
            self._store.write([self._make_reference(request)])
            return self._references.read(request)

    def _probe(self, task: ProbeTask) -> ModelReport:
        embeddings = self._reference(task.request).embeddings
        cost = measure_step_cost(self._adapter, embeddings, build_executor(task.mechanism))
        return ModelReport(
            task_id=task.task_id,
            model=asdict(self._adapter.spec),
            computed_flops=cost.computed_flops,
            cached_flops=cost.cached_flops,
            computed_s=cost.computed_s,
            cached_s=cost.cached_s,
            worker=self._name,
        )

    def _roll_out(self, task: RolloutTask, snapshot: PolicySnapshot | None) -> RolloutGroup | RolloutFailure:
        if task.gates:
            return self._roll_out_gates(task)
        started = time.perf_counter()
        schedules, log_probs = self._schedules(task, snapshot)
        # a known reward lacks what evaluation asks for on top
        known = {} if task.all_metrics or task.return_images else task.known
        wanted = [schedule for schedule in dict.fromkeys(schedules) if schedule not in known]
        measured: dict[Schedule, RewardBreakdown] = {}
        pictures: dict[Schedule, bytes] = {}
        executed = 0
        if wanted:
            reference = self._reference(task.request)
            self._release_text_encoders()
            generation = generate(
                self._adapter, reference.embeddings, task.request, wanted, task.mechanism, self._max_batch
            )
            executed = generation.forwards_executed
            try:
                breakdowns = self._scorer.score(
                    generation.images, reference.image, task.request.prompt.text, all_metrics=task.all_metrics
                )
            except RunFailedError as error:
                return RolloutFailure(task.task_id, reason=str(error), retryable=False, worker=self._name)
            measured = dict(zip(wanted, breakdowns, strict=True))
            if task.return_images:
                pictures = _encoded(wanted, generation)
        return RolloutGroup(
            task_id=task.task_id,
            request=task.request,
            policy_version=task.policy_version,
            rollouts=_rollouts(schedules, log_probs, known, measured, pictures),
            forwards_requested=self._adapter.spec.evaluations_per_step * sum(schedule.budget for schedule in schedules),
            forwards_executed=executed,
            seconds=time.perf_counter() - started,
            worker=self._name,
        )

    def _roll_out_batch(self, task: BatchTask) -> BatchReport | RolloutFailure:
        references = [self._reference(part.request) for part in task.parts]
        self._release_text_encoders()
        try:
            return run_batch(self._adapter, self._scorer, task, references, self._max_batch, self._name)
        except RunFailedError as error:
            return RolloutFailure(task.task_id, reason=str(error), retryable=False, worker=self._name)

    def _roll_out_gates(self, task: RolloutTask) -> RolloutGroup | RolloutFailure:
        started = time.perf_counter()
        reference = self._reference(task.request)
        self._release_text_encoders()
        try:
            rollouts = self._gates.run(task, reference)
        except RunFailedError as error:
            return RolloutFailure(task.task_id, reason=str(error), retryable=False, worker=self._name)
        forwards = self._adapter.spec.evaluations_per_step * sum(rollout.schedule.budget for rollout in rollouts)
        return RolloutGroup(
            task_id=task.task_id,
            request=task.request,
            policy_version=task.policy_version,
            rollouts=rollouts,
            forwards_requested=forwards,
            forwards_executed=forwards,
            seconds=time.perf_counter() - started,
            worker=self._name,
        )

    def _schedules(self, task: RolloutTask, snapshot: PolicySnapshot | None) -> tuple[Sequence[Schedule], list[float]]:
        if task.schedules:
            return task.schedules, [0.0] * len(task.schedules)
        if snapshot is None or snapshot.version != task.policy_version:
            came = "none" if snapshot is None else f"version {snapshot.version}"
            raise BadInputError(
                f"task {task.task_id}: samples from policy version {task.policy_version}, with it came {came}; "
                "submit the task with its snapshot"
            )
        return self._sampler.sample(snapshot, task.budgets, task.sampling_seed)

    def _release_text_encoders(self) -> None:
        if self._encoded:
            self._adapter.release_text_encoders()
            self._encoded = False


def _rollouts(
    schedules: Sequence[Schedule],
    log_probs: Sequence[float],
    known: Mapping[Schedule, RewardBreakdown],
    measured: Mapping[Schedule, RewardBreakdown],
    pictures: Mapping[Schedule, bytes],
) -> tuple[Rollout, ...]:
    return tuple(
        Rollout(
            schedule=schedule,
            log_prob=log_prob,
            breakdown=measured[schedule] if schedule in measured else known[schedule],
            memoised=schedule not in measured,
            image_png=pictures.get(schedule),
        )
        for schedule, log_prob in zip(schedules, log_probs, strict=True)
    )


def _encoded(schedules: Sequence[Schedule], generation: Generation) -> dict[Schedule, bytes]:
    return {schedule: encode_frames(frames) for schedule, frames in zip(schedules, generation.images, strict=True)}
