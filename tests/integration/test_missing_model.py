"""A published model without weights or network: the command line says in seconds what to download and how."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SECONDS = 60
"""A bound for the busiest machine: most of the time goes into importing torch and diffusers."""


def test_training_flux_without_weights_fails_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(f"a cat on mat number {number}" for number in range(200)))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "recache_ray.cli.main", "train", "model=flux", "prompts=file"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
    )
    assert ended.returncode == 2
    assert time.monotonic() - started < SECONDS
    (line,) = ended.stderr.strip().splitlines()
    for part in (
        "model.path = 'black-forest-labs/FLUX.1-dev'",
        "HF_HUB_OFFLINE is set and the model is not in the cache",
        "accept the licence at https://huggingface.co/black-forest-labs/FLUX.1-dev",
        "hf download black-forest-labs/FLUX.1-dev --local-dir FOLDER",
        "model.path=FOLDER",
    ):
        assert part in line
    assert ended.stdout == ""
    assert {file.name for file in tmp_path.iterdir()} <= {"prompts.txt", "hub"}
