"""From a verb and its arguments to the checked configuration, starting from an existing run where there is one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from recache_ray.cli.compose import compose
from recache_ray.cli.overrides import hydra_overrides, without_references
from recache_ray.config.compare import check_resumable
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError

Start = Literal["fresh", "resume", "existing", "plan"]
"""``fresh`` never looks at run.dir; ``resume`` continues a run found there; ``existing`` needs one.

``plan`` is fresh, and asks for nothing that only a run of many prompts needs.
"""


def resolve(arguments: Sequence[str], spellings: Mapping[str, str], start: Start) -> Config:
    """Return the configuration that the command line asks for.

    Raises:
        BadInputError: one line naming the setting or file and the remedy.
    """
    overrides = hydra_overrides(arguments, spellings)
    fresh = compose("config", to_mapping(Config()), overrides)
    if start in ("fresh", "plan"):
        return load_config(fresh, runs=start == "fresh")
    run_dir = str(fresh["run"]["dir"])
    if not (Path(run_dir) / "config.json").exists():
        if start == "existing":
            raise BadInputError(
                f"run.dir = {run_dir!r}: holds no run (no config.json); "
                f"train one first: recache train run.dir={run_dir}, or name the folder of another run"
            )
        return load_config(fresh)
    saved = _saved_settings(Path(run_dir) / "config.json")
    saved["run"]["dir"] = run_dir
    wanted = compose("existing_run", _literal(saved), overrides)
    wanted["run"]["dir"] = run_dir
    config = load_config(wanted)
    if start == "resume":
        check_resumable(saved, to_mapping(config), run_dir)
    return config


def _saved_settings(path: Path) -> dict[str, Any]:
    """The settings a run was started with; settings newer than the run have their defaults."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read ({error}); restore the file or choose another run.dir") from error
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: is not the config.json of a run; restore the file or choose another run.dir")
    try:
        return to_mapping(load_config(values))
    except BadInputError as error:
        raise BadInputError(
            f"{path}: written by another release ({error}); use that release or choose another run.dir"
        ) from error


def _literal(value: Any) -> Any:
    """The same data with references escaped: they were resolved when the file was written."""
    if isinstance(value, dict):
        return {name: _literal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return without_references(value) if isinstance(value, str) else value
