"""The verb ``report``: one self-contained page about a trained and evaluated run."""

from __future__ import annotations

import shlex
from pathlib import Path

from recache_ray.build.reproduction import result_commands
from recache_ray.build.trained_run import load_trained
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
        (*result_commands(folder), shlex.join(["recache", "report", f"run.dir={folder}"])),
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
