"""A cluster of several nodes on this machine, to be damaged on purpose: its nodes can be killed, drained and replaced.

Every node is a process tree of its own (:mod:`recache_ray.distributed.node_process`), on the loopback address and
behind a token drawn for this cluster.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from recache_ray.errors import RunFailedError

_START_S = 300.0
_END_S = 15.0
_TRIES = 5
_LOOPBACK = "127.0.0.1"

_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every process stays on the loopback address
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # a node that is gone is noticed in seconds, not in a minute
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "4",
}


@dataclass(frozen=True, slots=True, eq=False)
class LocalNode:
    """One node: the process that started it is the root of all its processes."""

    process: subprocess.Popen[str]

    def tree(self) -> list[psutil.Process]:
        """Its processes that live, the root first."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def named(self, name: str) -> list[psutil.Process]:
        """Its processes of that program, for example ``raylet``, or with a command line that begins so."""
        return [process for process in self.tree() if _is_named(process, name)]

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None


class LocalNodes:
    """Starts and ends nodes; a context manager that leaves none behind.

    Args:
        folder: sockets and logs; a short path.
        dashboard: whether the head serves jobs (``jobs_address``).
        autoscaling: a configuration as for ``ray up``, with which the head starts and ends nodes by itself.

    Attributes:
        environment: what a process needs to join: the mode of authentication and the token among it.
        address: of the head, ``127.0.0.1:port``; changes with every new head.

    Raises:
        RunFailedError: if a node does not start.
    """

    def __init__(self, folder: str, *, dashboard: bool = False, autoscaling: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._dashboard = dashboard
        self._autoscaling = autoscaling
        self.environment = {**os.environ, **_ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment.pop("RAY_ADDRESS", None)
        self.address = self.jobs_address = ""
        self.head: LocalNode | None = None
        self.workers: list[LocalNode] = []
        self._started = 0

    def __enter__(self) -> LocalNodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start_head(self) -> LocalNode:
        """Start a head without places for work."""
        settings: dict[str, Any] = {"gcs_port": free_port(), "num_cpus": 0, "temp_dir": self._folder}
        if self._dashboard:
            settings["dashboard_port"] = free_port()
            self.jobs_address = f"http://{_LOOPBACK}:{settings['dashboard_port']}"
        if self._autoscaling is not None:
            provider = {**self._autoscaling["provider"], "gcs_address": f"{_LOOPBACK}:{settings['gcs_port']}"}
            path = Path(self._folder) / "autoscaling.json"
            path.write_text(json.dumps({**self._autoscaling, "provider": provider}), encoding="utf-8")
            settings["autoscaling_config"] = str(path)
        self.head, answer = self._start(settings)
        self.address = str(answer["gcs_address"])
        return self.head

    def add_worker(self, num_cpus: int) -> LocalNode:
        """Start a node with this many places. One at a time: two at once race for the same socket."""
        node, _ = self._start({"gcs_address": self.address, "num_cpus": num_cpus})
        self.workers.append(node)
        return node

    def processes(self, name: str) -> list[psutil.Process]:
        """All processes of that name on all nodes."""
        nodes = [*([self.head] if self.head else []), *self.workers]
        return [process for node in nodes for process in node.named(name)]

    def close(self) -> None:
        """Kill every process of every node. Safe to call twice."""
        nodes = [*self.workers, *([self.head] if self.head else [])]
        self.workers, self.head = [], None
        for node in nodes:
            end(node)

    def _start(self, settings: Mapping[str, Any]) -> tuple[LocalNode, dict[str, Any]]:
        """Start a node, again where it ended: a raylet gives its agents 15 s, which a busy machine may not have."""
        for attempt in range(_TRIES):
            try:
                return self._try_to_start(settings)
            except RunFailedError:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _try_to_start(self, settings: Mapping[str, Any]) -> tuple[LocalNode, dict[str, Any]]:
        self._started += 1
        messages = Path(self._folder) / f"node-{self._started}.err"
        with messages.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "recache_ray.distributed.node_process", json.dumps(settings)],
                env=self.environment,
                stdin=subprocess.PIPE,  # closed when this process is gone, whatever ends it
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # a Ctrl-C is for us
                text=True,
            )
        node = LocalNode(process)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _START_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            end(node)
            said = messages.read_text(encoding="utf-8", errors="replace").splitlines()
            raised = [line for line in said if re.match(r"[\w.]*(Error|Exception)\b", line)] or said
            why = " ".join(raised[-1:])[:300] if ready else f"no answer within {_START_S:g} s"
            raise RunFailedError(f"a node of the local Ray cluster did not start ({why}); try again")
        return node, json.loads(line)


def end(node: LocalNode) -> None:
    """SIGKILL every process of a node and wait for them."""
    tree = node.tree()
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=_END_S)
    node.process.wait()
    for stream in (node.process.stdin, node.process.stdout):
        if stream is not None:
            stream.close()


def free_port() -> int:
    """A port of the loopback address that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_named(process: psutil.Process, name: str) -> bool:
    return not _has_ended(process) and any(text == name or text.startswith(name) for text in _names(process))


def _has_ended(process: psutil.Process) -> bool:
    """Whether it only waits for its parent to look: a killed raylet that an autoscaler started stays so for long."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _names(process: psutil.Process) -> Iterator[str]:
    try:
        yield process.name()
        yield " ".join(process.cmdline())
    except psutil.Error:
        return
