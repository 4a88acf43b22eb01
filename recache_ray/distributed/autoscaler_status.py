"""What the autoscaler of the joined cluster is doing, in a few words."""

from __future__ import annotations

import logging

import ray
from ray.autoscaler.v2.schema import ClusterStatus
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.exceptions import RayError

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 5


def launches() -> str:
    """What :func:`describe` says of the cluster; empty where the head does not answer in time.

    These are the last words of a status line: they are not worth a run.
    """
    try:
        return describe(get_cluster_status(ray.get_runtime_context().gcs_address, timeout=_TIMEOUT_S))
    except (RayError, OSError) as error:
        _LOG.debug("no status of the autoscaler: %r", error)
        return ""


def describe(status: ClusterStatus) -> str:
    """``2 nodes starting, 1 launch failed (gpu_spot: no capacity)``; empty where nothing is launched."""
    starting = len(status.pending_nodes) + sum(launch.count for launch in status.pending_launches)
    parts = [f"{starting} node{'s' * (starting > 1)} starting"] if starting else []
    if failed := status.failed_launches:
        last = failed[-1]
        detail = " ".join(str(last.details or "").split())[:120]
        said = f"{last.ray_node_type_name}: {detail}" if detail else last.ray_node_type_name
        parts.append(f"{len(failed)} launch{'es' * (len(failed) > 1)} failed ({said})")
    return ", ".join(parts)
