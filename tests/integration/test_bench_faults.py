"""The soak of a minute: hit in every role, a training ends as if nothing had happened, and a miss is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recache_ray.config.faults import ROLES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_hit_once_in_every_role_a_training_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recache_ray.cli.main", "bench", "faults", "seconds=45", f"kills={len(ROLES)}"],
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
    assert record["tally"]["drivers"] >= 3, "driver and head were killed, each time another one went on"
    assert record["tasks_begun"] > record["tasks_counted"], "killed workers leave tasks begun and done again"
