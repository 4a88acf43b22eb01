"""The verb ``submit``: a training as a job of a Ray cluster."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from recache_ray.config.root import Config
from recache_ray.errors import BadInputError

_TUNNEL = "http://127.0.0.1:8265"


def submit(config: Config, settings: Sequence[str]) -> str:
    """Submit ``recache train`` with these settings; returns how to watch it, or follows it to its end.

    Args:
        config: what ``settings`` resolve to, checked already; its section ``submit`` says where to.
        settings: ``name=value``, as the command on the head is to be given them.

    Raises:
        BadInputError: if the runtime environment cannot be used, or no job server takes the job.
        RunFailedError: if a job that is followed does not end well.
    """
    section = config.submit
    if not config.runtime.address:
        raise BadInputError(
            "runtime.address is empty: the job would start a cluster of its own on the head; set runtime=cluster"
        )
    environment = _runtime_env(section.runtime_env)
    from recache_ray.distributed.jobs import JobServer

    server = JobServer(section.server or _usual_server())
    job_id = server.submit(shlex.join(["recache", "train", *settings]), environment, section.job_id)
    where = f"{shlex.quote(job_id)} --address {server.address}"
    told = f"submitted {job_id}\n  ray job logs {where} --follow\n  ray job stop {where}"
    if not section.follow:
        return told
    print(told, file=sys.stderr)
    server.follow(job_id, lambda text: print(text, end="", flush=True))
    return f"{job_id} has ended well"


def _usual_server() -> str:
    """Where ``ray job`` would look."""
    named = (os.environ.get(name, "") for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"))
    return next((address for address in named if address.startswith("http")), _TUNNEL)


def _runtime_env(name: str) -> dict[str, Any]:
    """The file checked as ``recache check-cluster`` checks it."""
    if not name:
        return {}
    from recache_ray.distributed.cluster_files.check import check_cluster_file

    report = check_cluster_file(Path(name), setting="submit.runtime_env")
    if report.kind != "runtime environment":
        raise BadInputError(
            f"submit.runtime_env = {name!r}: is a file of another kind ({report.kind}); name one such as "
            "cluster/runtime-env.yaml, or leave it empty"
        )
    for problem in (*report.problems, *report.to_do):
        raise BadInputError(f"submit.runtime_env = {name!r}: {problem}")
    document: dict[str, Any] = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    return document
