"""The folder conf/ and the groups of options in it, without Hydra, so that help and error messages stay fast."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from recache_ray.errors import RunFailedError


@cache
def conf_dir() -> Path:
    """The folder of the Hydra groups: inside the package when installed from a wheel, beside it in a checkout.

    Raises:
        RunFailedError: if it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "existing_run.yaml").is_file():
            return folder
    raise RunFailedError(f"{package / 'conf'}: the configuration groups are missing; install recache_ray again")


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """Group name to its options, both sorted."""
    return {
        folder.name: tuple(sorted(file.stem for file in folder.glob("*.yaml")))
        for folder in sorted(conf_dir().iterdir())
        if folder.is_dir() and any(folder.glob("*.yaml"))
    }


def default_option(group: str) -> str:
    """The option that ``conf/config.yaml`` chooses for a fresh run; ``null`` for none."""
    text = (conf_dir() / "config.yaml").read_text(encoding="utf-8")
    return re.findall(rf"^\s*- (?:optional )?{group}: (\w+)$", text, re.MULTILINE)[0]


def describe(group: str, option: str) -> str:
    """What the option says of itself in its first comment line."""
    for line in (conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @package"):
            return line.lstrip("# ")
    return ""
