"""What ends a driver from outside: Ctrl-C in its terminal, and SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from recache_ray.distributed.learner_actor import run_in_actor
from recache_ray.testing.fake_job import LockedJob

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("cluster")]

DRIVER = """
import sys
from functools import partial
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.cluster import connect
from recache_ray.distributed.learner_actor import run_in_actor
from recache_ray.testing.fake_job import LockedJob

with connect(RuntimeConfig(cpus_per_worker=0.0)):
    for _ in range(2):
        print(run_in_actor(partial(LockedJob, sys.argv[1], 3600.0), lambda event: print(event, flush=True)), flush=True)
"""


def ended(process: int) -> bool:
    """Gone, or a zombie that nobody has asked about yet."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return "State:\tZ" in status


def test_ctrl_c_stops_the_job_well_and_after_sigkill_a_new_run_takes_over(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"locked\n"
        os.killpg(driver.pid, signal.SIGINT)  # a terminal sends Ctrl-C to every process of the group, Ray's included
        assert driver.stdout.readline() == b"done\n"
        assert driver.stdout.readline() == b"locked\n"
    finally:
        driver.kill()
        driver.wait()
    learner = int((tmp_path / "running").read_text())
    killed = time.monotonic()
    events: list[str] = []
    assert run_in_actor(partial(LockedJob, str(tmp_path), 0.0), events.append, poll_s=0.1) == "done"
    assert events[-1] == "locked"
    print(f"the next run held the folder {time.monotonic() - killed:.1f} s after the kill")
    while not ended(learner):
        assert time.monotonic() - killed < 60
        time.sleep(0.1)
