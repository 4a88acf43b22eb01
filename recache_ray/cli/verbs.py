"""Every verb of the console script, in the order in which help lists them.

A verb imports the build function it calls when it runs, so that help needs none of them.
"""

from __future__ import annotations

from recache_ray.cli.bench_verbs import BENCH_ALPHA, BENCH_LEARNING, BENCH_MECHANISMS, BENCH_ROLLOUT, BENCH_STEP
from recache_ray.cli.cluster_verbs import BENCH_FAULTS, CHECK_CLUSTER, SUBMIT
from recache_ray.cli.evaluation_verbs import EVALUATE, REPORT, RESULTS, TRANSFER
from recache_ray.cli.scaling_verbs import BENCH_SCALE, TUNE
from recache_ray.cli.schedule_verbs import EXPORT, GENERATE, VERIFY
from recache_ray.cli.serving_verbs import BENCH_SERVE, DEMO, SERVE
from recache_ray.cli.training_verbs import PLAN, REFERENCES, TRAIN

VERBS = {
    verb.name: verb
    for verb in (
        REFERENCES,
        TRAIN,
        EVALUATE,
        REPORT,
        TRANSFER,
        RESULTS,
        GENERATE,
        EXPORT,
        VERIFY,
        PLAN,
        BENCH_STEP,
        BENCH_ROLLOUT,
        BENCH_LEARNING,
        BENCH_MECHANISMS,
        CHECK_CLUSTER,
        BENCH_ALPHA,
        SUBMIT,
        BENCH_FAULTS,
        TUNE,
        BENCH_SCALE,
        DEMO,
        SERVE,
        BENCH_SERVE,
    )
}
