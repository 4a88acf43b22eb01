"""The verbs about clusters and what happens on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import MISSED_TARGET, Finished, Verb
from recache_ray.errors import BadInputError

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


def _check_cluster(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.check_cluster import check_cluster

    text, ready = check_cluster(config)
    return Finished(text, 0 if ready else BadInputError.exit_status)


def _submit(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.submit import submit
    from recache_ray.cli.command_line import typed_settings

    return Finished(submit(config, typed_settings(config, but=("submit", "generate"))))


def _bench_faults(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_faults import bench_faults

    text, held = bench_faults(config, progress)
    return Finished(text, 0 if held else MISSED_TARGET)


CHECK_CLUSTER = Verb(
    name="check-cluster",
    summary="check a cluster file: what would not work, what is left to fill in",
    start="fresh",
    useful=("cluster.file",),
    examples=(
        "recache check-cluster file=cluster/gpu.yaml",
        "recache check-cluster file=cluster/kuberay/rayjob.yaml",
    ),
    run=_check_cluster,
    spellings={"file": "cluster.file"},
    required=("cluster.file",),
)

SUBMIT = Verb(
    name="submit",
    summary="train as a job of a Ray cluster: leave, and come back to its log",
    start="fresh",
    useful=("submit", "run.dir", "references.dir", "runtime.num_workers", "runtime.min_workers", "tracking"),
    examples=(
        "recache submit run.dir=/shared/runs/shapes references.dir=/shared/references/shapes tracking=jsonl",
        "recache submit job_id=flux-1 follow=true model=flux_dev prompts.file=/shared/prompts.txt "
        "run.dir=/shared/runs/flux",
    ),
    run=_submit,
    spellings={name: f"submit.{name}" for name in ("server", "runtime_env", "job_id", "follow")},
    presets=("runtime=cluster",),
)

BENCH_FAULTS = Verb(
    name="bench faults",
    summary="a training killed at random in every role, against the same one in peace",
    start="fresh",
    useful=("faults", "run"),
    examples=(
        "recache bench faults",
        "recache bench faults seconds=60 kills=6 run.seed=3",
    ),
    run=_bench_faults,
    spellings={name: f"faults.{name}" for name in ("seconds", "kills", "roles")},
)
