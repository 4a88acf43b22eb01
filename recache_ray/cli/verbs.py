"""What each verb is for, which settings matter to it, and the build function it calls (imported when it runs)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recache_ray.cli.resolve import Start

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config

INTERRUPTED = 130
MISSED_TARGET = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """What a verb leaves: text for stdout and the exit status."""

    text: str
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of the console script.

    Attributes:
        start: whether an existing run in run.dir supplies the settings.
        useful: settings its help lists; a name without a dot stands for a whole section.
        spellings: short names of settings, for this verb only.
        required: settings that must not be empty.
    """

    name: str
    summary: str
    start: Start
    useful: tuple[str, ...]
    examples: tuple[str, ...]
    run: Callable[[Config, ProgressPrinter], Finished]
    spellings: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()


def _references(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.references import fill

    return Finished(fill(config, progress))


def _train(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.train import train

    outcome = train(config, progress)
    return Finished(outcome.text, INTERRUPTED if outcome.interrupted else 0)


def _evaluate(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.evaluate import evaluate

    return Finished(evaluate(config, progress))


def _report(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.report import report

    return Finished(report(config))


def _generate(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.generate import generate

    return Finished(generate(config))


def _bench_rollout(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench import bench_rollout

    text, passed = bench_rollout(config, progress)
    return Finished(text, 0 if passed else MISSED_TARGET)


def _bench_learning(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_learning import bench_learning

    text, passed = bench_learning(config, progress)
    return Finished(text, 0 if passed else MISSED_TARGET)


def _bench_alpha(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_alpha import bench_alpha

    text, finished = bench_alpha(config, progress)
    return Finished(text, 0 if finished else INTERRUPTED)


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            name="references",
            summary="generate and store the uncached references that rewards are measured against; resumable",
            start="fresh",
            useful=("references", "prompts", "model.path", "model.num_steps", "runtime.num_workers"),
            examples=("recache references", "recache references experiment=shapes_t50 runtime.num_workers=8"),
            run=_references,
        ),
        Verb(
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
        ),
        Verb(
            name="evaluate",
            summary="compare the trained policy with baselines over budgets, on held-out prompts",
            start="existing",
            useful=("run.dir", "evaluation", "runtime.num_workers", "tracking.mlflow_uri", "tracking.study"),
            examples=("recache evaluate run.dir=runs/default", "recache evaluate evaluation.budgets=4,6,8"),
            run=_evaluate,
        ),
        Verb(
            name="report",
            summary="write one self-contained page about an evaluated run: report/index.html",
            start="existing",
            useful=("run.dir", "evaluation.bootstrap_samples"),
            examples=("recache report run.dir=runs/default",),
            run=_report,
        ),
        Verb(
            name="generate",
            summary="make one picture from a prompt at a budget, with a trained policy",
            start="existing",
            useful=("run.dir", "generate"),
            examples=(
                'recache generate prompt="a small blue circle on the right of a black background" budget=6',
                'recache generate run.dir=runs/newton prompt="a large red star" budget=x3 output=star.png compare=true',
            ),
            run=_generate,
            spellings={name: f"generate.{name}" for name in ("prompt", "budget", "output", "seed", "compare")},
            required=("generate.prompt",),
        ),
        Verb(
            name="bench rollout",
            summary="rewards per second of shared-prefix rollouts against one pipeline call per schedule",
            start="fresh",
            useful=("model.num_steps", "learning.budgets", "learning.siblings", "runtime.max_batch"),
            examples=("recache bench rollout", "recache bench rollout model.num_steps=50 learning.budgets=5..25"),
            run=_bench_rollout,
        ),
        Verb(
            name="bench learning",
            summary="regret of learning and of rival searches on tables of every schedule's LPIPS; resumable",
            start="fresh",
            useful=("bench", "run", "runtime.num_workers"),
            examples=(
                "recache bench learning",
                "recache bench learning bench.num_steps=16 bench.budgets=2..8 bench.evaluations=[1000,2000] "
                "bench.seeds=3",
            ),
            run=_bench_learning,
        ),
        Verb(
            name="bench alpha",
            summary="LPIPS and quality of a policy per weight of the quality term, with plot; resumable",
            start="fresh",
            useful=("bench.alphas", "bench.quality_only", "reward", "run", "learning.budgets", "runtime.num_workers"),
            examples=(
                "recache bench alpha run.dir=runs/alpha",
                "recache bench alpha bench.alphas=[0,7] reward.quality=shapes",
            ),
            run=_bench_alpha,
        ),
    )
}
