"""The short soak: actors, a node and the learner lost, a training ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROLES = ("rollout", "learner", "hung", "node")
SETTINGS = ("seconds=30", f"kills={len(ROLES)}", f"roles={','.join(ROLES)}")


def test_hit_once_in_each_role_a_training_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recache_ray.cli.main", "bench", "faults", *SETTINGS],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every task counted exactly once" in done.stdout
    record = json.loads((tmp_path / "runs" / "default" / "bench_faults.json").read_text())
    assert record["problems"] == []
    assert {hit["role"] for hit in record["tally"]["hits"]} == set(ROLES)
