"""Files for ``ray up``: Ray's own validation, and what it lets pass."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from recache_ray.distributed.cluster_files.images import image_problems
from recache_ray.distributed.cluster_files.instances import machine_problems

_CLOUDS = ("aws", "gcp")
_PROVIDER_KEYS = {
    "aws": "type region availability_zone cache_stopped_nodes use_internal_ips security_group cloudwatch key_pair",
    "gcp": "type region availability_zone project_id cache_stopped_nodes use_internal_ips gcp_credentials",
    "local": "type head_ip worker_ips external_head_ip coordinator_address",
}
_MADE_BY = {"dist": "make wheel", "~/.ray/auth_token": "ray get-auth-token --generate"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SSH = 22


def provider_type(document: Mapping[str, Any]) -> str:
    """``aws``, ``gcp``, ``local``; empty where there is none."""
    provider = document.get("provider")
    return str(provider.get("type", "")) if isinstance(provider, Mapping) else ""


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """What Ray refuses, and only then what Ray lets pass."""
    provider = provider_type(document)
    if provider not in _PROVIDER_KEYS:
        yield f"provider.type = {provider or 'missing'}: these checks know {', '.join(_PROVIDER_KEYS)}"
        return
    try:
        prepared = _prepared(document)
    except Exception as error:  # jsonschema, ValueError, AssertionError, click: whatever Ray raises is its verdict
        message = getattr(error, "message", None) or str(error) or type(error).__name__
        place = ".".join(map(str, getattr(error, "absolute_path", ())))
        yield f"refused by Ray: {f'{place}: ' if place else ''}{' '.join(str(message).split())[:300]}"
        return
    yield from _provider_problems(provider, document["provider"])
    yield from _node_type_problems(provider, prepared)
    yield from _docker_problems(prepared)
    yield from _command_problems(provider, document, prepared)
    yield from (
        f"file_mounts: {source} does not exist here; correct the path"
        for source in _absent(document)
        if source not in _MADE_BY
    )


def missing_sources(document: Mapping[str, Any]) -> Iterator[str]:
    """Files to mount that are made by a command and have not been yet."""
    return (
        f"{source} does not exist; make it with: {_MADE_BY[source]}"
        for source in _absent(document)
        if source in _MADE_BY
    )


def nodes(document: Mapping[str, Any]) -> Iterator[str]:
    """One line for each node type."""
    for name, node_type in _prepared(document)["available_node_types"].items():
        held = ", ".join(f"{count} {what}" for what, count in node_type["resources"].items())
        yield f"{name}: {node_type['min_workers']} to {node_type['max_workers']} workers, each {held or 'as detected'}"


def _prepared(document: Mapping[str, Any]) -> dict[str, Any]:
    """The file with Ray's defaults filled in; private to Ray, whose command has no dry run."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        prepared: dict[str, Any] = prepare_config(deepcopy(dict(document)))
        validate_config(prepared)
    return prepared


def _absent(document: Mapping[str, Any]) -> Iterator[str]:
    mounts = document.get("file_mounts")
    if isinstance(mounts, Mapping):
        yield from (str(source) for source in mounts.values() if not Path(str(source)).expanduser().exists())


def _provider_problems(provider: str, section: Mapping[str, Any]) -> Iterator[str]:
    known = _PROVIDER_KEYS[provider].split()
    for key in section:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            guess = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
            yield f"provider.{key}: Ray would ignore it{guess}"
    for rule in (section.get("security_group") or {}).get("IpPermissions", []):
        world = any(block.get("CidrIp") == "0.0.0.0/0" for block in rule.get("IpRanges", []))
        if world and (rule.get("FromPort"), rule.get("ToPort")) != (_SSH, _SSH):
            yield (
                f"provider.security_group: opens ports {rule.get('FromPort')} to {rule.get('ToPort')} to the world; "
                "leave ssh alone open and reach the dashboard with ray dashboard"
            )


def _node_type_problems(provider: str, prepared: Mapping[str, Any]) -> Iterator[str]:
    if provider not in _CLOUDS:
        return
    head, types = prepared["head_node_type"], prepared["available_node_types"]
    spot = {name for name, node_type in types.items() if _is_spot(node_type["node_config"])}
    for name, node_type in types.items():
        place = f"available_node_types.{name}"
        least, most = node_type["min_workers"], node_type["max_workers"]
        if least > most:
            yield f"{place}.min_workers = {least}: must be at most max_workers = {most}"
        yield from machine_problems(provider, place, node_type)
    for resource in ("CPU", "GPU"):
        if types[head]["resources"].get(resource) != 0:
            yield f"available_node_types.{head}.resources: the head would take rollouts; set {resource}: 0"
    if head in spot:
        yield f"available_node_types.{head}: the head on spot takes the whole run with it; use an on-demand machine"
    workers = [name for name in types if name != head]
    if spot and provider == "aws" and prepared["provider"].get("cache_stopped_nodes", True):
        yield "provider.cache_stopped_nodes: a stopped spot node cannot be started again; set it to false"
    lasting = [types[name].get("priority", 0) for name in workers if name not in spot]
    for name in workers:
        if name in spot and lasting and types[name].get("priority", 0) <= max(lasting):
            yield f"available_node_types.{name}.priority: spot must come first; set it above {max(lasting)}"
    if any(types[name].get("priority") for name in types) and not _autoscaler_v2(prepared):
        yield "available_node_types: only autoscaler v2 reads priority; give the head --env=RAY_enable_autoscaler_v2=1"


def _is_spot(node_config: Mapping[str, Any]) -> bool:
    market = (node_config.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"
    scheduling = node_config.get("scheduling") or []
    return market or any(rule.get("preemptible") or rule.get("provisioningModel") == "SPOT" for rule in scheduling)


def _autoscaler_v2(prepared: Mapping[str, Any]) -> bool:
    text = " ".join((*_options(prepared, "head"), *prepared.get("head_start_ray_commands", ())))
    return re.search(r"RAY_enable_autoscaler_v2=(?:1|true)\b", text) is not None


def _options(prepared: Mapping[str, Any], role: str) -> tuple[str, ...]:
    docker = prepared.get("docker") or {}
    return (*docker.get("run_options", ()), *docker.get(f"{role}_run_options", ()))


def _docker_problems(prepared: Mapping[str, Any]) -> Iterator[str]:
    docker = prepared.get("docker") or {}
    if not docker.get("container_name"):
        yield "docker: no image, so every node has the Ray and Python it happens to have; name a pinned one"
        return
    images = [(f"docker.{key}", docker[key]) for key in ("image", "head_image", "worker_image") if docker.get(key)]
    for name, node_type in prepared["available_node_types"].items():
        if own := (node_type.get("docker") or {}).get("worker_image"):
            images.append((f"available_node_types.{name}.docker.worker_image", own))
    yield from image_problems(images)
    for role in ("head", "worker"):
        options = " ".join(_options(prepared, role))
        env = dict(re.findall(r"(?:--env[= ]|-e[= ]?)(\w+)=(\S+)", options))
        volumes = [inside for _, inside in re.findall(r"(?:--volume[= ]|-v[= ]?)([^:\s]+):([^:\s]+)", options)]
        if env.get("RAY_AUTH_MODE") != "token":
            yield f"docker.run_options: the {role} asks no token of clients; add --env=RAY_AUTH_MODE=token"
        if not any(Path(env.get("HF_HOME", "")).is_relative_to(inside) for inside in volumes):
            yield (
                f"docker.run_options: HF_HOME of the {role} is on no volume, so every new container downloads the "
                "model again; add --volume=/shared:/shared and --env=HF_HOME=/shared/huggingface"
            )


def _command_problems(provider: str, document: Mapping[str, Any], prepared: Mapping[str, Any]) -> Iterator[str]:
    if not document.get("setup_commands"):
        yield "setup_commands: left out, Ray installs a nightly build; install pinned packages here"
    for section in ("setup_commands", "head_setup_commands", "worker_setup_commands"):
        for command in document.get(section) or ():
            if re.search(r"pip install", command) and not re.search(r"--constraint|-c |==", command):
                yield f"{section}: {command!r} installs whatever is newest; add --constraint constraints.txt"
    if not any(str(target).endswith("/.ray/auth_token") for target in prepared.get("file_mounts") or {}):
        yield "file_mounts: no token for the nodes; add /home/ray/.ray/auth_token: ~/.ray/auth_token"
    head = " ".join(prepared.get("head_start_ray_commands") or ())
    for host in re.findall(r"--dashboard-host[= ](\S+)", head):
        if host not in _LOOPBACK:
            yield f"head_start_ray_commands: the dashboard listens on {host}; set --dashboard-host=127.0.0.1"
    if provider in _CLOUDS and "--autoscaling-config=" not in head:
        yield "head_start_ray_commands: no node would ever join; add --autoscaling-config=~/ray_bootstrap_config.yaml"
    if provider == "local" and not ("--num-cpus=0" in head and "--num-gpus=0" in head):
        yield "head_start_ray_commands: the head would take rollouts; add --num-cpus=0 --num-gpus=0"
    if "$RAY_HEAD_IP" not in " ".join(prepared.get("worker_start_ray_commands") or ()):
        yield "worker_start_ray_commands: do not join the head; add --address=$RAY_HEAD_IP:6379"
