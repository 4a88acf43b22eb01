"""One process at a time works in a run's folder, under one configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recache_ray.build.progress import OnProgress
from recache_ray.config.compare import check_resumable
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.run_lock import run_lock
from recache_ray.tracking.names import without_secrets


def saved_config(path: Path) -> Config:
    """The settings of a run from its ``config.json``; those newer than the run have their defaults.

    Raises:
        BadInputError: if the file is damaged.
    """
    try:
        return load_config(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise BadInputError(f"{path}: cannot be read ({error}); restore it or choose another run.dir") from error


def save_config(config: Config, path: Path) -> None:
    """The inverse of :func:`saved_config`, but for passwords."""
    text = json.dumps(settings_of(config), indent=2) + "\n"
    replace_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def settings_of(config: Config) -> dict[str, Any]:
    """All settings as they are written to a file.

    A password stays out of every file; MLflow takes it from its environment variables.
    """
    settings = to_mapping(config)
    settings["tracking"]["mlflow_uri"] = without_secrets(settings["tracking"]["mlflow_uri"])
    return settings


@contextmanager
def claim_run_folder(config: Config, on_status: OnProgress) -> Iterator[Path]:
    """Create ``run.dir``, lock it, and write its ``config.json`` or compare with the one there.

    Raises:
        BadInputError: if the folder cannot be written, is in use, or holds a run with other settings.
    """
    folder = Path(config.run.dir)
    with run_lock(folder, on_status=on_status):
        path = folder / "config.json"
        if path.exists():
            check_resumable(to_mapping(saved_config(path)), settings_of(config), str(folder))
        save_config(config, path)
        yield folder
