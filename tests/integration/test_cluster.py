"""The local cluster is for this machine's user alone, and bad runtime settings are refused with a remedy."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import ray

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.cluster import connect, workers_that_fit
from recache_ray.distributed.pool_metrics import COUNTERS, GAUGES
from recache_ray.distributed.ray_pool import RayPool
from recache_ray.errors import BadInputError
from recache_ray.testing.fake_worker import build_fake_worker, fake_task

pytestmark = pytest.mark.integration

SECTION = RuntimeConfig(cpus_per_worker=0.0)
EXPORT_S = 11.0
"""Ray exports every ten seconds."""


def outward_address() -> str:
    """An address of this machine that other machines could use; empty without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        return str(probe.getsockname()[0])


@pytest.mark.usefixtures("cluster")
def test_servers_answer_on_the_loopback_address_only() -> None:
    host, port = ray.get_runtime_context().gcs_address.rsplit(":", 1)
    assert host == "127.0.0.1"
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
    outward = outward_address()
    if not outward or outward.startswith("127."):
        pytest.skip("no other network address")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((outward, int(port)), timeout=5)


@pytest.mark.usefixtures("cluster")
def test_no_process_of_the_cluster_listens_beyond_the_loopback_address() -> None:
    listening = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # Ray's idle workers end while one looks
            places = process.net_connections("tcp")
            listening |= {(process.name(), each.laddr.ip) for each in places if each.status == psutil.CONN_LISTEN}
    assert {"gcs_server", "raylet"} <= {name for name, _ in listening}
    assert all(_is_loopback(address) for _, address in listening), listening


def _is_loopback(address: str) -> bool:
    """Also where a socket of both families shows the IPv4 address mapped into IPv6."""
    place = ipaddress.ip_address(address)
    return (getattr(place, "ipv4_mapped", None) or place).is_loopback


def exported() -> dict[str, float]:
    """Ray's page for Prometheus, as far as the pool counts: name to value."""
    (node,) = ray.nodes()
    with urllib.request.urlopen(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("ray_recache_")}


@pytest.mark.usefixtures("cluster")
def test_prometheus_can_read_what_the_pool_counts(tmp_path: Path) -> None:
    time.sleep(EXPORT_S)  # counters are of the process, which may have had pools before
    before = exported()
    pool = RayPool(partial(build_fake_worker, str(tmp_path)), replace(SECTION, num_workers=1, startup_timeout_s=240))
    try:
        for task_id in range(3):
            pool.submit(fake_task(task_id, "die once" if task_id == 1 else ""))
        while pool.in_flight:
            pool.collect()
        wanted = {"ray_recache_rollouts_total": 6, "ray_recache_restarts_total": 1}
        counted: dict[str, float] = {}
        deadline = time.monotonic() + 120
        while counted != wanted and time.monotonic() < deadline:
            time.sleep(1.0)
            now = exported()
            counted = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in wanted}
    finally:
        pool.close()
    assert counted == wanted
    assert "ray_recache_reward_mean" in now
    assert {name.removeprefix("ray_").removesuffix("_total") for name in now} <= {*COUNTERS, *GAUGES}


@pytest.mark.usefixtures("cluster")
def test_reservations_are_checked_against_the_machine() -> None:
    cores = int(ray.cluster_resources()["CPU"])
    assert workers_that_fit(replace(SECTION, num_workers=500)) == 500
    assert workers_that_fit(replace(SECTION, num_workers=500, cpus_per_worker=1.0)) == cores
    assert workers_that_fit(replace(SECTION, num_workers=500, cpus_per_worker=0.4)) == 2 * cores
    assert workers_that_fit(replace(SECTION, num_workers=500, cpus_per_worker=1.0, address="head:6379")) == 500
    with pytest.raises(BadInputError, match=rf"cpus_per_worker = {cores + 1}: .* this machine has {cores}; lower"):
        workers_that_fit(replace(SECTION, cpus_per_worker=cores + 1.0))
    with pytest.raises(BadInputError, match=r"gpus_per_worker = 1.5: must be whole above 1; use 1 or 2"):
        workers_that_fit(replace(SECTION, gpus_per_worker=1.5))


@pytest.mark.usefixtures("cluster")
def test_a_connection_that_exists_is_used_and_kept() -> None:
    with connect(SECTION):
        pass
    assert ray.is_initialized()


def test_an_address_where_nothing_listens_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    started = time.monotonic()
    with (
        pytest.raises(
            BadInputError, match=r"^runtime\.address = '127\.0\.0\.1:9': .*Connection refused.*ray start --head"
        ),
        connect(replace(SECTION, address="127.0.0.1:9")),
    ):
        pytest.fail("connected")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_reaches_python_and_not_the_handlers_of_ray(number: str) -> None:
    code = (
        "import os, signal\n"
        "from recache_ray.config.runtime import RuntimeConfig\n"
        "from recache_ray.distributed.cluster import connect\n"
        "def stop(number, frame):\n"
        "    raise KeyboardInterrupt\n"
        f"signal.signal(signal.{number}, stop)\n"
        "try:\n"
        "    with connect(RuntimeConfig(cpus_per_worker=0.0), lean=True):\n"
        f"        os.kill(os.getpid(), signal.{number})\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped well')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped well\n", "")
