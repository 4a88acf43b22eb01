"""A local cluster without what only people at a long-lived one look at.

Beside the processes that run tasks, ``ray.init`` starts a dashboard server (whatever ``include_dashboard`` says) and
waits for it, a forwarder of log files and an autoscaler; and the agent of a node opens an HTTP server on one fixed
port, for which a second cluster on the machine waits in vain for seconds. A local server has no use for them: log files
stay in the folder of the session, and its cluster cannot grow. Metrics for Prometheus are given up. Ray has no settings
for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import utils
from ray._private.node import Node

_UNUSED = ("start_api_server", "start_monitor", "start_log_monitor")


@contextmanager
def lean_node() -> Iterator[None]:
    """Have a cluster that ``ray.init`` starts inside the block do without them."""

    def nothing(node: Node, **settings: Any) -> None:
        return None

    def no_http_server() -> ImportError:
        return ImportError("a local cluster has no dashboard")

    replaced: list[tuple[Any, str, Any]] = [
        *((Node, name, nothing) for name in _UNUSED),
        # what Ray takes the dashboard's packages for missing by; then its agents leave their HTTP servers out
        (utils, "get_dashboard_dependency_error", no_http_server),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, replacement in replaced:
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
