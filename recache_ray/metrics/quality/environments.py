"""Environments of their own for packages that cannot share ours, and the processes that run in them.

``python -m recache_ray.metrics.quality.environments imagereward FOLDER --python PYTHON`` makes one: ImageReward 1.5
needs an older transformers and timm, VBench 0.1.5 numpy below 2. Nothing of this package is installed there; its two
scripts in ``foreign/`` run as files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from recache_ray.errors import BadInputError, RecacheError

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "imagereward": (
        "image-reward==1.5",
        "transformers>=4.27.4,<4.41",
        "torch>=2.1,<2.5",
        "torchvision",
        "numpy<2",
        "setuptools<70",
        "diffusers<0.30",
        "accelerate<1",
        "huggingface_hub<0.26",
        "datasets",
        "ftfy",
        "regex",
    ),
    "vbench": ("vbench==0.1.5", "torch>=2.1,<2.5", "torchvision", "numpy<2", "setuptools<70"),
}
"""What pip is asked for; both want Python 3.9 to 3.11."""

IMPORTED = {"imagereward": "ImageReward", "vbench": "vbench"}
_CHECK_S = 300.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.metrics.quality.environments", description=__doc__)
    parser.add_argument("kind", choices=tuple(REQUIREMENTS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment, 3.9 to 3.11")
    chosen = parser.parse_args(arguments)
    try:
        make_environment(chosen.kind, chosen.folder, chosen.python)
    except RecacheError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    print(f"{chosen.folder}: {IMPORTED[chosen.kind]} can be imported; set reward.quality_env={chosen.folder}")
    return 0


def make_environment(kind: str, folder: Path, python: str) -> None:
    """Create a virtual environment in ``folder`` and install what ``kind`` needs; an existing one is completed.

    Raises:
        BadInputError: naming the step that failed and the last line it said.
    """
    interpreter = folder / "bin" / "python"
    steps = [[str(interpreter), "-m", "pip", "install", "--quiet", *REQUIREMENTS[kind]]]
    if not interpreter.exists():
        steps.insert(0, [python, "-m", "venv", str(folder)])
    for step in steps:
        _run(step, f"environment of {kind} in {folder}: {' '.join(step[1:4])} failed", None)
    check_environment(kind, folder)


def check_environment(kind: str, folder: Path) -> Path:
    """The interpreter of a usable environment.

    Raises:
        BadInputError: if there is none, or the package cannot be imported there.
    """
    interpreter = folder.expanduser() / "bin" / "python"
    how = f"make it with: python -m recache_ray.metrics.quality.environments {kind} {folder}"
    if not interpreter.exists():
        raise BadInputError(f"reward.quality_env = {str(folder)!r}: holds no environment of {kind}; {how}")
    name = IMPORTED[kind]
    _run(
        [str(interpreter), "-c", f"import {name}"],
        f"reward.quality_env = {str(folder)!r}: {name} cannot be imported there",
        _CHECK_S,
    )
    return interpreter


def _run(command: list[str], failure: str, timeout_s: float | None) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInputError(f"{failure} ({' '.join(str(error).split())[:200]})") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["it said nothing"]
        raise BadInputError(f"{failure} ({said[-1].strip()[:200]}); see what it needs with pip and make it by hand")


if __name__ == "__main__":
    sys.exit(main())
