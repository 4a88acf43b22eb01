"""The main job from the first reference to the final table, in whichever process owns the learner."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from recache_ray.build.budgets import learning_budgets
from recache_ray.build.evaluation import check_evaluation, run_evaluation
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.build.probe import probe_model, step_cost
from recache_ray.build.progress import OnProgress, heeding
from recache_ray.build.references import fill_references
from recache_ray.build.requests import evaluation_requests, prompt_set, requests_of
from recache_ray.build.rivals import check_rivals, search_prior
from recache_ray.build.run_folder import claim_run_folder
from recache_ray.build.summary import summarise
from recache_ray.build.trackers import open_tracker
from recache_ray.caching.registry import cut_name, library
from recache_ray.config.root import Config
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.evaluate import log_evaluation
from recache_ray.evaluation.plots import plot_learning_curve
from recache_ray.learning.checkpoint import Checkpoint, CheckpointStore
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.learning.plan import TaskPlan
from recache_ray.learning.progress import Interrupted
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import ScheduleTable
from recache_ray.tracking.base import Tracker
from recache_ray.tracking.jsonl import read_metrics
from recache_ray.tracking.provenance import provenance
from recache_ray.types import GenerationRequest, ModelReport

OpenPool = Callable[[Config, OnProgress], AbstractContextManager[RolloutPool]]


@dataclass(frozen=True)
class TrainOutcome:
    """How a training ended: with a final text, or interrupted with a checkpoint to resume from."""

    interrupted: bool
    text: str


@dataclass(frozen=True)
class TrainingJob:
    """A picklable description of the job; :meth:`run` does it.

    Attributes:
        config: the resolved configuration.
        open_pool: opens the pool of rollout workers in the process that runs the job.
    """

    config: Config
    open_pool: OpenPool

    def run(self, report: OnProgress, stop: Event) -> TrainOutcome:
        """Make references, learn, polish, write the schedules, evaluate. Running it again resumes.

        Raises:
            BadInputError: if run.dir, the reference store, the prompts or the tracker cannot be used.
            RunFailedError: if workers are lost for good, too many rollouts fail or the disk is full.
        """
        folder = Path(self.config.run.dir)
        check_evaluation(self.config)
        check_rivals(self.config)
        try:
            with claim_run_folder(self.config, report):
                return self._run(folder, report, stop)
        except OSError as error:
            raise RunFailedError(
                f"{error.filename or folder}: {error.strerror or error}; what was checkpointed is intact: "
                "make room or fix the folder and run the same command again to resume"
            ) from error

    def _run(self, folder: Path, report: OnProgress, stop: Event) -> TrainOutcome:
        started_s = time.monotonic()
        config = self.config
        learner = Learner(make_policy(config), config.learning, log_costs=config.reward.alpha == 0)
        checkpoints = CheckpointStore(folder / "checkpoints", config.learning.keep_checkpoints)
        checkpoint = checkpoints.load_newest(report)
        prompts = prompt_set(config)
        train, validation, test = map(requests_of, (prompts.train, prompts.validation, prompts.test))
        needed = dict.fromkeys((*train, *validation, *test, *evaluation_requests(config)))
        plan = make_plan(config, train)
        facts = provenance(config.run.seed)
        status = "FAILED"
        with ExitStack() as stack:
            opened = open_tracker(config, _recorded_step(checkpoint), facts)
            tracker = opened.tracker
            stack.callback(lambda: tracker.close(status))
            pool = stack.enter_context(self.open_pool(config, report))
            heed = heeding(stop, report)
            try:
                fill_references(pool, tuple(needed), config.references.requests_per_task, heed)
                model = probe_model(pool, plan.mechanism, validation[0])
                prior = search_prior(config, pool, plan.mechanism, model, heed)
            except Interrupted:
                status = "KILLED"
                return TrainOutcome(True, _resumable(folder))
            loop = TrainingLoop(
                learner,
                plan,
                pool,
                validation,
                config.learning,
                tracker=tracker,
                checkpoints=checkpoints,
                on_progress=report,
                stop=stop,
                prior=prior,
            )
            if checkpoint is not None:
                loop.resume(checkpoint)
                report(f"resuming {folder} after update {learner.version} of {config.learning.num_updates}")
            opened.confirm()
            outcome = loop.run()
            if outcome.table is None:
                status = "KILLED"
                return TrainOutcome(True, _resumable(folder))
            table = publish(config, learner.policy, outcome.table, model, facts, tracker)
            try:
                evaluation = run_evaluation(config, pool, table, learner.policy, heed, model)
            except Interrupted:
                status = "KILLED"
                return TrainOutcome(
                    True, f"{folder}/schedules.json is complete; the same command again goes on evaluating"
                )
            log_evaluation(tracker, evaluation)
            if learner.version:
                lines = read_metrics(folder / "metrics.jsonl")
                tracker.log_artifact(plot_learning_curve(lines, folder / "evaluation" / "learning.png"), "evaluation")
            status = "FINISHED"
        return TrainOutcome(False, summarise(config, evaluation, outcome, loop.meter, time.monotonic() - started_s))


def _resumable(folder: Path) -> str:
    return f"interrupted; run the same command again to resume {folder}"


def _recorded_step(checkpoint: Checkpoint | None) -> int | None:
    """The last update or polishing round whose effect a checkpoint holds; what was logged after it comes again."""
    if checkpoint is None:
        return None
    rounds = checkpoint.tensors["memo/version_E"]
    return max(int(checkpoint.document["learner"]["version"]), int(rounds.max()) if len(rounds) else 0)


def make_policy(config: Config) -> BudgetPolicy:
    """The untrained policy."""
    section = config.policy
    return BudgetPolicy(
        num_steps=config.model.num_steps,
        budgets=list(learning_budgets(config)),
        kind=section.kind,
        parameterisation=section.parameterisation,
        hidden_size=section.hidden_size,
        logit_bound=section.logit_bound,
        seed=config.run.seed,
    )


def make_plan(config: Config, train: Sequence[GenerationRequest]) -> TaskPlan:
    """The order of the policy-gradient work."""
    section = config.learning
    return TaskPlan(
        requests=train,
        mechanism=mechanism_spec(config),
        budgets=learning_budgets(config),
        siblings=section.siblings,
        tasks_per_update=section.tasks_per_update,
        policy_lag=section.policy_lag,
        budgets_per_task=section.budgets_per_task,
        seed=config.run.seed,
    )


def publish(
    config: Config,
    policy: BudgetPolicy,
    table: ScheduleTable,
    model: ModelReport,
    facts: dict[str, str | int],
    tracker: Tracker,
) -> ScheduleTable:
    """Write ``policy/`` and ``schedules.json`` and keep them with the tracker; returns the complete table."""
    folder = Path(config.run.dir)
    policy.save_pretrained(folder / "policy")
    complete = dataclasses.replace(
        table,
        model=model.model,
        mechanism={
            **table.mechanism,
            "cut": cut_name(mechanism_spec(config)),
            "library": library(mechanism_spec(config)),
        },
        provenance={**table.provenance, **facts, "run": folder.name},
        cost=dataclasses.asdict(step_cost(model)),
    )
    complete.save(folder / "schedules.json")
    for name in ("config.json", "schedules.json"):
        tracker.log_artifact(folder / name)
    for file in sorted((folder / "policy").iterdir()):
        tracker.log_artifact(file, "policy")
    return complete
