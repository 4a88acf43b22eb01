"""What to type to get a run's results again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recache_ray.build.run_folder import save_config, saved_config
from recache_ray.build.trackers import flat
from recache_ray.config.compare import differing_settings
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError

EVALUATED = "evaluation/config.json"
"""In a run's folder: the settings of its last evaluation, which ``recache evaluate`` may extend after training."""


def record_evaluation(config: Config) -> None:
    """Write :data:`EVALUATED`."""
    save_config(config, Path(config.run.dir) / EVALUATED)


def result_commands(folder: Path) -> tuple[str, ...]:
    """The train command of the run in ``folder``; with the evaluate command, if that one had other settings.

    Settings are named that differ from the defaults, or from the training's, and can change a result.

    Raises:
        BadInputError: if this is no run's folder, or a file of settings cannot be read.
    """
    if not (folder / "config.json").exists():
        raise BadInputError(f"{folder / 'config.json'}: does not exist; is {folder} a run's folder?")
    trained = saved_config(folder / "config.json")
    run = f"run.dir={folder}"
    train = shlex.join(["recache", "train", run, *_changes(Config(), trained)])
    evaluated = folder / EVALUATED
    changes = list(_changes(trained, saved_config(evaluated))) if evaluated.exists() else []
    return (train, shlex.join(["recache", "evaluate", run, *changes])) if changes else (train,)


def _changes(before: Config, after: Config) -> Iterator[str]:
    differing = differing_settings(to_mapping(before), to_mapping(after))
    wanted: Mapping[str, Any] = flat(to_mapping(after))
    for path in wanted:
        if path in differing:
            yield f"{path}={_written(wanted[path])}"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
