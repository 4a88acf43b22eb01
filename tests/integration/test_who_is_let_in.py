"""A head with token authentication lets nobody in without its token, and who is refused hears why within seconds.

Ray's own client would try for 20 s and say no more than that it could not connect; every process has a time limit.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray._private.services import GCS_SERVER_EXECUTABLE

from recache_ray.distributed.local_nodes import free_port

pytestmark = pytest.mark.integration

LIMIT_S = 200
REFUSED_WITHIN_S = 15
JOIN = """
import sys, time
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.cluster import connect
from recache_ray.errors import BadInputError

started = time.monotonic()
try:
    with connect(RuntimeConfig(address=sys.argv[1])):
        print("joined")
except BadInputError as error:
    print(error)
print(time.monotonic() - started)
"""


@dataclass(frozen=True)
class Head:
    """The head's own server, which decides who is let in; it needs no node."""

    address: str
    token: str


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder, token, port = tmp_path_factory.mktemp("gcs"), secrets.token_hex(32), free_port()
    process = subprocess.Popen(
        [
            GCS_SERVER_EXECUTABLE,
            f"--log_dir={folder}",
            "--config_list=e30=",
            f"--gcs_server_port={port}",
            "--metrics-agent-port=0",
            "--node-ip-address=127.0.0.1",
            "--session-name=session",
            f"--session-dir={folder}",
            f"--node-id={'0' * 56}",
        ],
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        yield Head(f"127.0.0.1:{port}", token)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
            "the cluster refuses the token from here; set RAY_",
        ),
        ({"RAY_AUTH_MODE": "token"}, "there is no token here; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN"),
        ({}, "the cluster asks for a token; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN"),
    ],
    ids=["another token", "no token", "no authentication"],
)
def test_nobody_joins_without_the_token_and_hears_why_at_once(
    head: Head, tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    joining = subprocess.run(
        [sys.executable, "-c", JOIN, head.address],
        cwd=tmp_path,
        env={**kept, **changes, "HOME": str(tmp_path)},  # no token lies in this home
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert joining.returncode == 0, joining.stderr
    message, seconds = joining.stdout.splitlines()
    assert message.startswith(f"runtime.address = '{head.address}': {says}")
    assert float(seconds) < REFUSED_WITHIN_S
    assert "0" * 64 not in joining.stdout + joining.stderr
    assert head.token not in joining.stdout + joining.stderr
