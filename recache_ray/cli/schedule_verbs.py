"""The verbs that use learned schedules: for one picture here, for somebody's server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recache_ray.cli.verb import MISSED_TARGET, Finished, Verb

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config


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


GENERATE = Verb(
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
)

EXPORT = Verb(
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
)

VERIFY = Verb(
    name="verify",
    summary="run an export in the real library on a tiny model and count what it computes",
    start="existing",
    useful=("run.dir", "export"),
    examples=("recache verify to=cache-dit budget=6", "recache verify to=cache-dit budget=6 file=served.yaml"),
    run=_verify,
    spellings={name: f"export.{name}" for name in ("to", "budget", "file", "mechanism")},
)
