"""The local cluster is for this machine's user alone, and bad runtime settings are refused with a remedy."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace

import pytest
import ray

from recache_ray.config.sections import RuntimeConfig
from recache_ray.distributed.cluster import connect, workers_that_fit
from recache_ray.errors import BadInputError

pytestmark = pytest.mark.integration

SECTION = RuntimeConfig(cpus_per_worker=0.0)


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
def test_strangers_need_a_token() -> None:
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


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
