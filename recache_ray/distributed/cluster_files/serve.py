"""The configuration of picture servers, for ``serve deploy``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from recache_ray.errors import BadInputError


def is_serve_config(document: Mapping[str, Any]) -> bool:
    """Whether it lists applications of Ray Serve."""
    return "applications" in document


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """What Ray Serve refuses, and a server that others than this machine can reach.

    Raises:
        BadInputError: if Ray Serve is not installed, which knows the format.
    """
    try:
        from pydantic import ValidationError
        from ray.serve.schema import ServeDeploySchema
    except ImportError as error:
        raise BadInputError(
            "a file for serve deploy: checked by Ray Serve itself; install recache_ray[serve]"
        ) from error
    try:
        checked = ServeDeploySchema.model_validate(dict(document))
    except ValidationError as error:
        for found in error.errors():
            yield f"refused by Ray Serve: {'.'.join(map(str, found['loc']))}: {' '.join(found['msg'].split())}"
        return
    host = checked.http_options.host
    if not _is_loopback(host):
        yield f"http_options.host = {host}: anybody who reaches the port may draw; use 127.0.0.1 behind a proxy"


def nodes(document: Mapping[str, Any]) -> Iterator[str]:
    """One line for each deployment: replicas and what each occupies."""
    for application in document["applications"]:
        for deployment in application.get("deployments", ()):
            actor = deployment.get("ray_actor_options", {})
            yield (
                f"{application['name']}/{deployment['name']}: {deployment.get('num_replicas', 1)} of "
                f"{actor.get('num_cpus', 1)} CPUs and {actor.get('num_gpus', 0)} GPUs"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
