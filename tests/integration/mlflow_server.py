"""A real tracking server on localhost, for the tests that need one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

Server = tuple[str, "subprocess.Popen[bytes]"]


@contextmanager
def mlflow_server(folder: Path, database: str) -> Iterator[Server]:
    """Its URI and process; log and artifacts go to ``folder``. It is gone at the end, however it was left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", database, "--artifacts-destination", str(folder / "served"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urlopen(f"{uri}/health", timeout=2).close()
                break
            except (URLError, OSError):
                time.sleep(0.2)
        yield uri, process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the server with its workers; nothing where it is gone already."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        return
    process.wait()
