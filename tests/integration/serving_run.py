"""A run of the embedded model as training leaves it, without training, and the verbs that serve it as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule, ScheduleTable

T = 20
BUDGETS = (3, 4, 5)
_STEPS = {3: (0, 7, 14), 4: (0, 3, 8, 15), 5: (0, 3, 7, 11, 16)}


def write_shapes_run(folder: Path) -> Path:
    """Fill ``folder`` with configuration, schedules and policy of ``shapes`` at T = 20."""
    policy = BudgetPolicy(T, BUDGETS)
    policy.save_pretrained(folder / "policy")
    model = {"id": "shapes", "pipeline_class": "FluxPipeline", "forwards_per_step": 1, "num_steps": T}
    cost = {"computed_flops": 1e9, "cached_flops": 1e7, "computed_s": 0.02, "cached_s": 0.002}
    rows = {k: Schedule(T, steps) for k, steps in _STEPS.items()}
    ScheduleTable(T, rows, model, {"id": "taylor1"}, cost=cost).save(folder / "schedules.json")
    settings = {"run": {"dir": str(folder)}, "runtime": {"kind": "ray"}}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def free_port() -> int:
    """One that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(verb: str, port: int, folder: Path, *settings: str) -> Iterator[tuple[str, float, subprocess.Popen[bytes]]]:
    """A verb that serves until interrupted: its address, the seconds until it answered, and the process."""
    command = [
        sys.executable,
        "-m",
        "recache_ray.cli.main",
        verb,
        f"run.dir={folder}",
        f"{verb}.port={port}",
        *settings,
    ]
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")}
    environment |= {"RAY_AUTH_MODE": "token", "HF_HUB_OFFLINE": "1"}
    started = time.monotonic()
    log = folder / f"{verb}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - started < 250, log.read_text()
            try:
                urlopen(url, timeout=5).close()
                break
            except (URLError, OSError):
                time.sleep(0.1)
        yield url, time.monotonic() - started, process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
