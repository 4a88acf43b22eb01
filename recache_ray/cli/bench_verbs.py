"""The benchmarks of one machine: seconds of a step, rewards per second, and what is learned with which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import INTERRUPTED, MISSED_TARGET, Finished, Verb

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


def _bench_step(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_step import bench_step

    return Finished(bench_step(config))


def _bench_rollout(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench import bench_rollout

    text, passed = bench_rollout(config, progress)
    return Finished(text, 0 if passed else MISSED_TARGET)


def _bench_learning(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_learning import bench_learning

    text, passed = bench_learning(config, progress)
    return Finished(text, 0 if passed else MISSED_TARGET)


def _bench_mechanisms(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_mechanisms import bench_mechanisms

    return Finished(bench_mechanisms(config, progress))


def _bench_alpha(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_alpha import bench_alpha

    text, finished = bench_alpha(config, progress)
    return Finished(text, 0 if finished else INTERRUPTED)


BENCH_STEP = Verb(
    name="bench step",
    summary="seconds of a computed and a cached step on this machine; budgets in time need it once",
    start="plan",
    useful=("run.dir", "model.num_steps", "model.device", "bench.random_weights", "runtime.threads_per_worker"),
    examples=(
        "recache bench step",
        "recache bench step run.dir=runs/newton mechanism=newton2",
        "recache bench step run.dir=runs/flux model=flux_dev bench.random_weights=true",
    ),
    run=_bench_step,
)

BENCH_ROLLOUT = Verb(
    name="bench rollout",
    summary="rewards per second of shared-prefix rollouts against one pipeline call per schedule",
    start="fresh",
    useful=("model.num_steps", "learning.budgets", "learning.siblings", "runtime.max_batch"),
    examples=("recache bench rollout", "recache bench rollout model.num_steps=50 learning.budgets=5..25"),
    run=_bench_rollout,
)

BENCH_LEARNING = Verb(
    name="bench learning",
    summary="regret of learning and of rival searches on tables of every schedule's LPIPS; resumable",
    start="fresh",
    useful=("bench", "run", "runtime.num_workers"),
    examples=(
        "recache bench learning",
        "recache bench learning bench.num_steps=[12,16] bench.prompt_sets=2 bench.evaluations=[1000,2000] "
        "bench.seeds=3",
    ),
    run=_bench_learning,
)

BENCH_MECHANISMS = Verb(
    name="bench mechanisms",
    summary="LPIPS and the cost of a cached step of every mechanism, under uniform schedules",
    start="fresh",
    useful=("bench.mechanisms", "bench.prompts", "model.num_steps", "evaluation.budgets"),
    examples=(
        "recache bench mechanisms",
        "recache bench mechanisms bench.mechanisms=[reuse,fora,delta] bench.prompts=8 evaluation.budgets=4,10",
    ),
    run=_bench_mechanisms,
)

BENCH_ALPHA = Verb(
    name="bench alpha",
    summary="LPIPS and quality of a policy per weight of the quality term, with plot; resumable",
    start="fresh",
    useful=("bench.alphas", "bench.quality_only", "reward", "run", "learning.budgets", "runtime.num_workers"),
    examples=(
        "recache bench alpha run.dir=runs/alpha",
        "recache bench alpha bench.alphas=[0,7] reward.quality=shapes",
    ),
    run=_bench_alpha,
)
