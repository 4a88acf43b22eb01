"""Starting or joining a Ray cluster: the only call of ``ray.init``.

A local cluster is for this run alone, so nothing of it can be reached from elsewhere: every server binds to the
loopback address, and token authentication with a token drawn for this cluster (kept in the environment of its
processes, never in a file) keeps other users of the machine out. Ray alone binds to all interfaces. A joined cluster
keeps its own settings; set ``RAY_AUTH_MODE`` and ``RAY_AUTH_TOKEN`` (or their file) as its nodes have them.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._private.accelerators import get_accelerator_manager_for_resource
from ray._private.utils import get_num_cpus
from ray._raylet import Config  # type: ignore[attr-defined]

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.admission import ask_admission
from recache_ray.distributed.join_errors import why_not_joined
from recache_ray.distributed.lean_node import lean_node
from recache_ray.distributed.session_folder import session_folder
from recache_ray.distributed.stop_signals import signal_handlers_kept
from recache_ray.errors import BadInputError, RunFailedError

_LOG = logging.getLogger(__name__)
_OBJECT_STORE_BYTES = 150 * 2**20  # tasks and results travel inside the calls, the store stays empty
_ANSWER_S = 10.0

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_enable_worker_prestart": "0",  # idle workers would cost seconds of CPU at every start
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a tip; rollout actors hide GPUs themselves
}


@contextmanager
def connect(
    section: RuntimeConfig, on_status: Callable[[str], None] | None = None, *, lean: bool = False
) -> Iterator[None]:
    """Be connected to a cluster while the block runs: a local one of its own, or the one at ``runtime.address``.

    A connection that exists already (a notebook, a test session) is used and left as it is. ``lean`` starts a local one
    sooner, without metrics for Prometheus and without the processes that :func:`lean_node` names.

    Raises:
        BadInputError: if no cluster answers at the address, or a local one cannot hold ``runtime.min_workers``.
        RunFailedError: if a local cluster does not start.
    """
    if ray.is_initialized():
        workers_that_fit(section)
        yield
        return
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    # paragraphs about lost workers reach the terminal whatever log_to_driver says; the pool reports them in one line
    ray_worker.print_to_stdstream = lambda data, ignore_prefix: _LOG.debug("%s", data["lines"])
    if section.address:
        _join(section.address)
        try:
            yield
        finally:
            ray.shutdown()
        return
    workers_that_fit(section)
    with session_folder() as folder:
        with lean_node() if lean else nullcontext():
            _start_local(folder)
        try:
            yield
        finally:
            ray.shutdown()


def workers_that_fit(section: RuntimeConfig) -> int:
    """How many of ``runtime.num_workers`` actors can ever run: all of them on a joined cluster, which may grow.

    Raises:
        BadInputError: if a local cluster cannot hold ``runtime.min_workers``, or a reservation is not a valid one.
    """
    fit = section.num_workers
    for resource, each, name in (
        ("GPU", section.gpus_per_worker, "runtime.gpus_per_worker"),
        ("CPU", section.cpus_per_worker, "runtime.cpus_per_worker"),
    ):
        if each > 1 and each != int(each):
            raise BadInputError(f"{name} = {each:g}: must be whole above 1; use {int(each)} or {int(each) + 1}")
        if not each or section.address:
            continue
        available = _available(resource)
        # a share of a device cannot span two devices
        holds = int(available // each) if each >= 1 else int(available) * int(1 / each + 1e-9)
        if holds < section.min_workers:
            raise BadInputError(
                f"{name} = {each:g}: runtime.min_workers = {section.min_workers} need "
                f"{section.min_workers * each:g} {resource}, this machine has {available:g}; "
                f"lower {name} or join a cluster with runtime.address"
            )
        fit = min(fit, holds)
    return fit


def _available(resource: str) -> float:
    """What the local cluster has, or would have once started."""
    if ray.is_initialized():
        return float(ray.cluster_resources().get(resource, 0.0))
    if resource == "CPU":
        return float(get_num_cpus())
    manager = get_accelerator_manager_for_resource(resource)
    return float(manager.get_current_node_num_accelerators()) if manager is not None else 0.0


def _start_local(folder: str) -> None:
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # read by the child processes: stay on the loopback address
    ray_constants.ENABLE_RAY_CLUSTER = False  # the same for this process, which has imported Ray already
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    Config.initialize("")  # Ray has read the environment at import
    try:
        with signal_handlers_kept():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=folder,
            )
    except Exception as error:
        raise RunFailedError(
            f"Ray did not start ({' '.join(str(error).split())[:200]}); try again, or set runtime.kind=inline"
        ) from error


def cluster_of_this_job() -> str:
    """The cluster that started this process as a job, which says so in ``RAY_ADDRESS``; empty where none did."""
    named = os.environ.get("RAY_ADDRESS", "")
    return "" if named.startswith("http") else named  # that would be a job server, for clients


def _join(address: str) -> None:
    if address == "auto":
        # Ray looks for clusters on this machine first and may find another than the one whose job this is
        address = cluster_of_this_job() or address
    place = re.fullmatch(r"(ray://)?\[?([^\[\]/]+?)\]?:(\d+)", address)
    try:
        if place is not None:
            socket.create_connection((place[2], int(place[3])), timeout=_ANSWER_S).close()  # Ray would try for minutes
            if not place[1]:
                ask_admission(address, _ANSWER_S)
        with signal_handlers_kept():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise BadInputError(f"runtime.address = {address!r}: {why_not_joined(error)}") from error
