"""A published model without weights or network: the command line says in seconds what to download and how."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

PROCESSOR_S = 40
"""Most of it goes into importing torch and diffusers. Processor time, so that a busy machine changes nothing."""


def processor_s() -> float:
    """Of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_training_flux_without_weights_fails_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(f"a cat on mat number {number}" for number in range(200)))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    before_s = processor_s()
    ended = subprocess.run(
        [sys.executable, "-m", "recache_ray.cli.main", "train", "model=flux", "prompts=file"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 2
    assert processor_s() - before_s < PROCESSOR_S
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
