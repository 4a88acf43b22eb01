"""What each verb is for, which settings matter to it, and the build function it calls (imported when it runs)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.cluster_verbs import CLUSTER_VERBS
from recache_ray.cli.scaling_verbs import SCALING_VERBS
from recache_ray.cli.serving_verbs import SERVING_VERBS
from recache_ray.cli.verb import INTERRUPTED, MISSED_TARGET, Finished, Verb
from recache_ray.errors import BadInputError

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config

__all__ = ["INTERRUPTED", "MISSED_TARGET", "VERBS", "Finished", "Verb"]


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


def _transfer(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.transfer import transfer

    return Finished(transfer(config, progress))


def _results(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.results import publish_results

    return Finished(publish_results(config))


def _generate(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.generate import generate

    return Finished(generate(config))


def _export(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.export import export

    return Finished(export(config))


def _verify(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.verify import verify

    text, passed = verify(config)
    return Finished(text, 0 if passed else MISSED_TARGET)


def _plan(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.plan import plan

    return Finished(plan(config))


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


def _check_cluster(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.check_cluster import check_cluster

    text, ready = check_cluster(config)
    return Finished(text, 0 if ready else BadInputError.exit_status)


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
            name="transfer",
            summary="measure a run's schedules at other numbers of steps, beside those trained there",
            start="existing",
            useful=("run.dir", "transfer", "evaluation.budgets", "evaluation.bootstrap_samples", "runtime.num_workers"),
            examples=(
                "recache transfer run.dir=runs/t50 transfer.num_steps=[20,28,40]",
                "recache transfer run.dir=runs/t50 transfer.num_steps=[20] transfer.against=[runs/t20]",
            ),
            run=_transfer,
        ),
        Verb(
            name="results",
            summary="publish evaluated runs: tables, ranking and picture under docs/results and in the README",
            start="fresh",
            useful=("results", "run.dir", "evaluation.bootstrap_samples"),
            examples=(
                "recache results run.dir=runs/default",
                "recache results results.runs=[runs/taylor,runs/newton,runs/taylor_seed1] results.name=shapes_t50",
            ),
            run=_results,
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
            name="export",
            summary="write a schedule for a server: cache-dit, sglang, diffusers, comfyui, ...; or for a hub",
            start="existing",
            useful=("run.dir", "export"),
            examples=(
                "recache export to=cache-dit budget=6",
                "recache export run.dir=runs/flux to=sglang budget=x4 output=sglang.env",
                "recache export to=hub output=my-policy",
            ),
            run=_export,
            spellings={name: f"export.{name}" for name in ("to", "budget", "output", "mechanism")},
        ),
        Verb(
            name="verify",
            summary="run an export in the real library on a tiny model and count what it computes",
            start="existing",
            useful=("run.dir", "export"),
            examples=("recache verify to=cache-dit budget=6", "recache verify to=cache-dit budget=6 file=served.yaml"),
            run=_verify,
            spellings={name: f"export.{name}" for name in ("to", "budget", "file", "mechanism")},
        ),
        Verb(
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
        ),
        Verb(
            name="bench step",
            summary="seconds of a computed and a cached step on this machine; budgets in time need it once",
            start="fresh",
            useful=("run.dir", "model.num_steps", "model.device", "runtime.threads_per_worker"),
            examples=("recache bench step", "recache bench step run.dir=runs/newton mechanism=newton2"),
            run=_bench_step,
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
                "recache bench learning bench.num_steps=[12,16] bench.prompt_sets=2 bench.evaluations=[1000,2000] "
                "bench.seeds=3",
            ),
            run=_bench_learning,
        ),
        Verb(
            name="bench mechanisms",
            summary="LPIPS and the cost of a cached step of every mechanism, under uniform schedules",
            start="fresh",
            useful=("bench.mechanisms", "bench.prompts", "model.num_steps", "evaluation.budgets"),
            examples=(
                "recache bench mechanisms",
                "recache bench mechanisms bench.mechanisms=[reuse,fora,delta] bench.prompts=8 evaluation.budgets=4,10",
            ),
            run=_bench_mechanisms,
        ),
        Verb(
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
        *CLUSTER_VERBS,
        *SCALING_VERBS,
        *SERVING_VERBS,
    )
}
