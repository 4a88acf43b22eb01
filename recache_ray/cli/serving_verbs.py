"""The verbs that offer pictures to others: the demo page, the server and its load test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import MISSED_TARGET, Finished, Verb

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


def _demo(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.demo import demo

    return Finished(demo(config))


def _serve(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.serve import serve

    return Finished(serve(config, progress))


def _bench_serve(config: Config, progress: ProgressPrinter) -> Finished:
    from recache_ray.build.bench_serve import bench_serve

    text, passed = bench_serve(config)
    return Finished(text, 0 if passed else MISSED_TARGET)


DEMO = Verb(
    name="demo",
    summary="a page on this machine: move the budget, see picture, error map and time",
    start="existing",
    useful=("run.dir", "demo", "model.device"),
    examples=("recache demo", "recache demo run.dir=runs/flux demo.port=8080"),
    run=_demo,
    spellings={"port": "demo.port", "prompt": "demo.prompt"},
)

SERVE = Verb(
    name="serve",
    summary="a Ray Serve deployment of a run: JSON with a budget in, PNG out",
    start="existing",
    useful=("run.dir", "serve", "runtime.address", "model.device"),
    examples=("recache serve", "recache serve run.dir=runs/flux serve.gpus_per_replica=1 serve.max_batch=4"),
    run=_serve,
    spellings={"port": "serve.port"},
)

BENCH_SERVE = Verb(
    name="bench serve",
    summary="clients with mixed budgets against a running server: latency and steps of every answer",
    start="fresh",
    useful=("load",),
    examples=("recache bench serve", "recache bench serve url=http://127.0.0.1:8000 clients=16 seconds=60"),
    run=_bench_serve,
    spellings={name: f"load.{name}" for name in ("url", "clients", "seconds")},
)
