"""The verbs that learn schedules: what that would cost, the references it needs, the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import INTERRUPTED, Finished, Verb

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


def _references(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.references import fill

    return Finished(fill(config, progress))


def _train(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.train import train

    outcome = train(config, progress)
    return Finished(outcome.text, INTERRUPTED if outcome.interrupted else 0)


def _plan(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.plan import plan

    return Finished(plan(config))


REFERENCES = Verb(
    name="references",
    summary="generate and store the uncached references that rewards are measured against; resumable",
    start="fresh",
    useful=("references", "prompts", "model.path", "model.num_steps", "runtime.num_workers"),
    examples=("recache references", "recache references experiment=shapes_t50 runtime.num_workers=8"),
    run=_references,
)

TRAIN = Verb(
    name="train",
    summary="learn a schedule for every budget; the same run.dir again resumes",
    start="resume",
    useful=(
        "run",
        "model.num_steps",
        "learning.budgets",
        "learning.num_updates",
        "learning.siblings",
        "learning.polish_evaluations",
        "prompts",
        "references.dir",
        "runtime.num_workers",
        "runtime.gpus_per_worker",
        "runtime.address",
        "tracking",
    ),
    examples=(
        "recache train",
        "recache train run.dir=runs/newton mechanism=newton2 learning.budgets=3..8",
        "recache train run.dir=runs/flux model=flux_dev prompts.file=prompts.txt runtime=cluster",
    ),
    run=_train,
)

PLAN = Verb(
    name="plan",
    summary="FLOPs, memory, GPU-hours and money of a run under these settings, without its weights",
    start="plan",
    useful=(
        "plan",
        "model.num_steps",
        "learning.budgets",
        "learning.siblings",
        "learning.tasks_per_update",
        "learning.num_updates",
        "learning.polish_evaluations",
        "prompts.num_train",
        "runtime.max_batch",
        "runtime.num_workers",
        "price",
    ),
    examples=(
        "recache plan model=flux mechanism=taylor learning.budgets=5..25 runtime.num_workers=8",
        "recache plan architecture=wan21_14b size=1280x720x81 mechanism=taylor2 runtime.max_batch=8",
        "recache plan model=flux instance=g6e.2xlarge price.head=m7i.2xlarge runtime.num_workers=8",
    ),
    run=_plan,
    spellings={"architecture": "plan.architecture", "size": "plan.size", "instance": "price.instance"},
)
