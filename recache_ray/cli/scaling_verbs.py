"""Verbs about many actors and many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import INTERRUPTED, MISSED_TARGET, Finished, Verb

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


def _tune(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.tune import tune

    outcome = tune(config, progress)
    return Finished(outcome.text, INTERRUPTED if outcome.interrupted else 0)


def _bench_scale(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_scale import bench_scale

    text, passed = bench_scale(config, progress)
    return Finished(text, 0 if passed else MISSED_TARGET)


TUNE = Verb(
    name="tune",
    summary="search settings of the learning with Ray Tune, check the best on other seeds; resumable",
    start="fresh",
    useful=(
        "sweep",
        "run",
        "learning.num_updates",
        "prompts",
        "references.dir",
        "runtime.kind",
        "runtime.num_workers",
        "runtime.address",
        "tracking",
    ),
    examples=(
        "recache tune experiment=tune_shapes sweep=entropy_lr sweep.trials=12",
        "recache tune sweep=learning run.dir=runs/tune runtime.num_workers=4 runtime.gpus_per_worker=1",
    ),
    run=_tune,
)

BENCH_SCALE = Verb(
    name="bench scale",
    summary="how many simulated rollout actors one learner keeps busy, what that costs it, with plot",
    start="fresh",
    useful=("scale", "run.dir", "learning.siblings", "learning.save_every"),
    examples=(
        "recache bench scale actors=512",
        "recache bench scale actors=[1,16,256] mean_s=2 preemptions_per_hour=10 run.dir=runs/scale",
    ),
    run=_bench_scale,
    spellings={name: f"scale.{name}" for name in ("actors", "seconds", "mean_s", "preemptions_per_hour")},
)
