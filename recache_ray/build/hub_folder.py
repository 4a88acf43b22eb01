"""``export to=hub``: a run as the folder of a model repository, which loads from disk as it does from the hub."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import torch

from recache_ray.build.trained_run import load_trained
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.frontier import read_frontier
from recache_ray.evaluation.model_card import MAP_FILE, TABLE_FILE, model_card
from recache_ray.evaluation.plots import plot_step_frequency

HUB = "hub"


def export_hub_folder(config: Config) -> str:
    """Write policy, schedules, map and model card of the run, and say how to push and load them.

    Raises:
        BadInputError: if the run is not trained, or ``export.output`` is a file.
        RunFailedError: if the folder cannot be written.
    """
    run = Path(config.run.dir)
    table, policy = load_trained(config)
    folder = Path(config.export.output) if config.export.output else run / "export" / HUB
    if folder.is_file():
        raise BadInputError(f"export.output = {config.export.output!r}: is a file; to=hub writes a folder, name one")
    frontier = run / "evaluation" / "frontier.parquet"
    rows = read_frontier(frontier) if frontier.exists() else ()
    with torch.no_grad():
        inclusion = {k: policy.distribution(k).inclusion().tolist() for k in table.budgets}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            replace_atomically(folder / name, partial(shutil.copyfile, run / "policy" / name))
        table.save(folder / TABLE_FILE)
        plot_step_frequency(table, folder / MAP_FILE, inclusion)
        card = model_card(table, rows)
        replace_atomically(folder / "README.md", lambda path: path.write_text(card, encoding="utf-8"))
    except OSError as error:
        raise RunFailedError(f"{folder}: cannot write the export ({error.strerror or error}); make room") from error
    evaluated = "its evaluation" if rows else "its validation prompts; recache evaluate gives held-out ones"
    return "\n".join(
        [
            f"wrote {folder}: policy, {TABLE_FILE}, {MAP_FILE} and a model card with the figures of {evaluated}",
            f"push:  hf upload USER/NAME {folder}",
            f'load:  recache.BudgetPolicy.from_pretrained("{folder}") or "USER/NAME", '
            f'recache.ScheduleTable.load("{folder / TABLE_FILE}")',
        ]
    )
