"""The verb ``report``: one self-contained page about a trained and evaluated run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recache_ray.build.trackers import flat
from recache_ray.build.trained_run import load_trained
from recache_ray.config.compare import differing_settings
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.report.inputs import read_inputs
from recache_ray.evaluation.report.page import render_page


def report(config: Config) -> str:
    """Write ``run.dir/report/index.html`` and say where it is.

    Raises:
        BadInputError: if the run is not trained or evaluated, or a file of it is damaged.
        RunFailedError: if the page cannot be written.
    """
    folder = Path(config.run.dir)
    table, policy = load_trained(config)
    inputs = read_inputs(
        folder,
        table,
        lambda budgets: {k: policy.distribution(k).inclusion().detach().tolist() for k in budgets},
        tuple(commands(config)),
        bootstrap_samples=config.evaluation.bootstrap_samples,
        seed=config.run.seed,
    )
    page = folder / "report" / "index.html"
    content = render_page(inputs).encode()
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(page, lambda partial: partial.write_bytes(content))
    except OSError as error:
        raise RunFailedError(f"{page}: cannot write the report ({error.strerror or error}); make room") from error
    return f"wrote {page} ({len(content) / 1e6:.1f} MB, one file, nothing to load): open it in a browser"


def commands(config: Config) -> Iterator[str]:
    """The three commands that make the page again: settings that differ from the defaults and can change a result."""
    run = f"run.dir={config.run.dir}"
    differing = differing_settings(to_mapping(Config()), to_mapping(config))
    wanted = flat(to_mapping(config))
    settings = [f"{path}={_written(wanted[path])}" for path in wanted if path in differing]
    yield shlex.join(["recache", "train", run, *settings])
    for verb in ("evaluate", "report"):
        yield shlex.join(["recache", verb, run])


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
