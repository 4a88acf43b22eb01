"""One node of a cluster on this machine alone, as a process: ``python -m recache_ray.distributed.node_process``.

``ray start`` would listen on every interface; here every server of a node binds to the loopback address. The settings
come as JSON, the answer is one line of JSON; then the process waits until its raylet has ended or its standard input
is closed, as it is when the process that started it is gone. SIGTERM drains the node first, as a spot machine that is
taken away with notice.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

_LOOPBACK = "127.0.0.1"
_OBJECT_STORE_BYTES = 80 * 2**20  # tasks and results travel inside the calls
_LOOK_S = 0.5


def main(settings: dict[str, Any]) -> None:
    """Start the node and stay with it.

    Args:
        settings: ``gcs_address`` of the head to join, or ``gcs_port`` to be one; ``num_cpus``; for a head ``temp_dir``,
            ``dashboard_port`` where it serves jobs, ``autoscaling_config`` (a file) where it starts nodes.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # read at import: stay on the loopback address
    from ray._private.node import Node
    from ray._private.parameter import RayParams
    from ray._private.utils import write_ray_address

    head = "gcs_address" not in settings
    dashboard_port = settings.get("dashboard_port", 0)
    node = Node(
        RayParams(
            node_ip_address=_LOOPBACK,
            gcs_address=settings.get("gcs_address"),
            gcs_server_port=settings.get("gcs_port"),
            num_cpus=settings["num_cpus"],
            num_gpus=0,
            object_store_memory=_OBJECT_STORE_BYTES,
            temp_dir=settings.get("temp_dir"),
            include_dashboard=bool(dashboard_port) if head else None,
            dashboard_host=_LOOPBACK,
            dashboard_port=dashboard_port or None,
            # jobs are submitted through the agent, which gives up where Ray's fixed port is another cluster's
            dashboard_agent_listen_port=0,
            include_log_monitor=False,  # type: ignore[arg-type]
            autoscaling_config=settings.get("autoscaling_config"),
            no_monitor="autoscaling_config" not in settings,
            min_worker_port=0,
            max_worker_port=0,
        ),
        head=head,
    )
    if head:
        # as ``ray start`` does: where another cluster is on this machine, jobs are told the address that stands here
        write_ray_address(node.gcs_address, settings.get("temp_dir"))
    print(json.dumps({"gcs_address": node.gcs_address}), flush=True)
    while not any(kind == "raylet" for kind, _ in node.dead_processes()):
        readable, _, _ = select.select([sys.stdin], [], [], _LOOK_S)
        if readable:
            break


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
