"""What the autoscaler of the joined cluster is doing, in a few words."""

from __future__ import annotations

import logging

import ray
from ray.autoscaler.v2.sdk import get_cluster_status

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 5


def launches() -> str:
    """``2 nodes starting, 1 launch failed (gpu_spot: no capacity)``; empty where nothing is launched or known.

    Reading it is a convenience of a status line: a cluster that cannot tell costs the line its last words only.
    """
    try:
        status = get_cluster_status(ray.get_runtime_context().gcs_address, request_timeout=_TIMEOUT_S)
    except Exception as error:  # clusters without an autoscaler answer in several ways
        _LOG.debug("no status of the autoscaler: %r", error)
        return ""
    starting = len(status.pending_nodes) + sum(launch.count for launch in status.pending_launches)
    parts = [f"{starting} nodes starting"] if starting else []
    if failed := status.failed_launches:
        last = failed[-1]
        detail = " ".join(str(last.details or "").split())[:120]
        said = f"{last.instance_type_name}: {detail}" if detail else last.instance_type_name
        parts.append(f"{len(failed)} launch{'es' if len(failed) > 1 else ''} failed ({said})")
    return ", ".join(parts)
