"""KubeRay objects: the fields its operator knows, and what keeps a run from working or from being safe.

Fields are those of ``ray.io/v1`` in KubeRay 1.5; a misspelt one is dropped by the API server without a word.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import yaml

from recache_ray.distributed.cluster_files import runtime_env
from recache_ray.distributed.cluster_files.images import image_problems

_CLUSTER_FIELDS = """
    upgradeStrategy authOptions suspend managedBy autoscalerOptions headServiceAnnotations enableInTreeAutoscaling
    gcsFaultToleranceOptions historyServerOptions networkPolicy tlsOptions headGroupSpec rayVersion workerGroupSpecs
""".split()
_HEAD_FIELDS = "template headService enableIngress resources labels rayStartParams serviceType".split()
_WORKER_FIELDS = """
    groupName suspend replicas minReplicas maxReplicas idleTimeoutSeconds resources labels rayStartParams template
    scaleStrategy numOfHosts
""".split()
_JOB_FIELDS = """
    entrypoint entrypointNumCpus entrypointNumGpus entrypointResources runtimeEnvYAML jobId submissionMode
    submitterPodTemplate submitterConfig metadata clusterSelector managedBy deletionStrategy rayClusterSpec
    shutdownAfterJobFinishes ttlSecondsAfterFinished activeDeadlineSeconds backoffLimit suspend
    preRunningDeadlineSeconds
""".split()
_SUBMISSION_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_GPU = "nvidia.com/gpu"


def cluster_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Problems of a RayCluster."""
    yield from _envelope_problems(document)
    yield from _cluster_spec_problems("spec", document.get("spec"))


def job_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Problems of a RayJob and of the cluster it starts."""
    yield from _envelope_problems(document)
    spec = _mapping(document.get("spec"))
    yield from _unknown("spec", spec, _JOB_FIELDS)
    entrypoint = str(spec.get("entrypoint", ""))
    if not entrypoint.startswith("recache "):
        yield f"spec.entrypoint = {entrypoint!r}: must be a recache command"
    elif "runtime=cluster" not in entrypoint.split():
        yield "spec.entrypoint: would start a Ray of its own on the head; add runtime=cluster"
    mode = spec.get("submissionMode", _SUBMISSION_MODES[0])
    if mode not in _SUBMISSION_MODES:
        yield f"spec.submissionMode = {mode}: must be one of {', '.join(_SUBMISSION_MODES)}"
    if spec.get("shutdownAfterJobFinishes") is not True:
        yield "spec.shutdownAfterJobFinishes: the cluster would stay and cost after the job; set it to true"
    if "activeDeadlineSeconds" not in spec:
        yield "spec.activeDeadlineSeconds: missing, a stuck job would run for ever; set it"
    yield from _runtime_env_problems(spec.get("runtimeEnvYAML"))
    yield from _cluster_spec_problems("spec.rayClusterSpec", spec.get("rayClusterSpec"))


def volume_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the shared volume's claim."""
    spec = _mapping(document.get("spec"))
    if "ReadWriteMany" not in (spec.get("accessModes") or ()):
        yield f"spec.accessModes = {spec.get('accessModes')}: every pod mounts it; must have ReadWriteMany"
    if not _at(spec, "resources", "requests", "storage"):
        yield "spec.resources.requests.storage: missing; give a size such as 500Gi"


def nodes(document: Mapping[str, Any]) -> Iterator[str]:
    """One line for each group of pods."""
    spec = _mapping(document.get("spec"))
    spec = spec.get("rayClusterSpec", spec)
    yield "head: 1 pod, no rollouts"
    for group in spec.get("workerGroupSpecs", ()):
        gpus = _at(_containers(group)[0], "resources", "limits", _GPU)
        yield f"{group['groupName']}: {group['minReplicas']} to {group['maxReplicas']} pods, each {gpus} GPU"


def _envelope_problems(document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("apiVersion") != "ray.io/v1":
        yield f"apiVersion = {document.get('apiVersion')}: must be ray.io/v1"
    if not _at(document, "metadata", "name"):
        yield "metadata.name: missing"
    yield from _unknown("", document, ["apiVersion", "kind", "metadata", "spec"])


def _runtime_env_problems(text: object) -> Iterator[str]:
    if text is None:
        return
    try:
        environment = yaml.safe_load(str(text))
    except yaml.YAMLError as error:
        yield f"spec.runtimeEnvYAML: not YAML ({' '.join(str(error).split())[:200]})"
        return
    yield from (f"spec.runtimeEnvYAML: {problem}" for problem in runtime_env.problems(_mapping(environment)))


def _cluster_spec_problems(place: str, value: object) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{place}: missing"
        return
    yield from _unknown(place, value, _CLUSTER_FIELDS)
    if value.get("rayVersion") != ray.__version__:
        yield f"{place}.rayVersion = {value.get('rayVersion')!r}: must be {ray.__version__!r}, the Ray of this package"
    if _at(value, "authOptions", "mode") != "token":
        yield f"{place}.authOptions.mode: clients would need no token; set it to token"
    if value.get("enableInTreeAutoscaling") is not True:
        yield f"{place}.enableInTreeAutoscaling: no worker would ever be added or removed; set it to true"
    if _at(value, "autoscalerOptions", "version") != "v2":
        yield f"{place}.autoscalerOptions.version: must be v2"
    head, workers = value.get("headGroupSpec"), value.get("workerGroupSpecs")
    if not isinstance(head, Mapping) or not isinstance(workers, Sequence) or not workers:
        yield f"{place}: needs headGroupSpec and at least one of workerGroupSpecs"
        return
    yield from _head_problems(f"{place}.headGroupSpec", head)
    for index, group in enumerate(workers):
        yield from _worker_problems(f"{place}.workerGroupSpecs[{index}]", _mapping(group))
    groups = [("headGroupSpec", head), *((f"workerGroupSpecs[{i}]", _mapping(g)) for i, g in enumerate(workers))]
    yield from image_problems(
        (f"{place}.{name}.{container.get('name')}.image", str(container.get("image", "")))
        for name, group in groups
        for container in _containers(group)
    )


def _head_problems(place: str, head: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(place, head, _HEAD_FIELDS)
    if str(_at(head, "rayStartParams", "num-cpus")) != "0":
        yield f'{place}.rayStartParams.num-cpus: the head would take rollouts; set it to "0"'
    if head.get("serviceType", "ClusterIP") != "ClusterIP":
        yield f"{place}.serviceType = {head['serviceType']}: opens the dashboard to others; must be ClusterIP"
    if head.get("enableIngress"):
        yield f"{place}.enableIngress: opens the dashboard to others; leave it out and use port-forward"
    yield from _pod_problems(place, head)


def _worker_problems(place: str, group: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(place, group, _WORKER_FIELDS)
    least, most = group.get("minReplicas"), group.get("maxReplicas")
    if not isinstance(least, int) or not isinstance(most, int) or least > most:
        yield f"{place}: minReplicas = {least} must be at most maxReplicas = {most}"
    if not any(_at(container, "resources", "limits", _GPU) for container in _containers(group)):
        yield f"{place}: no container has a limit of {_GPU}, so Ray would see no GPU"
    yield from _pod_problems(place, group)


def _pod_problems(place: str, group: Mapping[str, Any]) -> Iterator[str]:
    for name, value in _mapping(group.get("rayStartParams")).items():
        if not isinstance(value, str):
            yield f'{place}.rayStartParams.{name} = {value}: must be text; write "{value}"'
    containers = _containers(group)
    if not containers:
        yield f"{place}.template.spec.containers: missing"
        return
    declared = {volume.get("name") for volume in _at(group, "template", "spec", "volumes") or ()}
    env = {variable.get("name"): variable.get("value") for variable in containers[0].get("env") or ()}
    for name, value in env.items():
        if value is not None and not isinstance(value, str):
            yield f'{place}: env {name} = {value}: must be text; write "{value}"'
    mounts = containers[0].get("volumeMounts") or ()
    for mount in mounts:
        if mount.get("name") not in declared:
            yield f"{place}: mounts the volume {mount.get('name')}, which template.spec.volumes does not have"
    if not any(Path(str(env.get("HF_HOME", ""))).is_relative_to(str(mount.get("mountPath"))) for mount in mounts):
        yield f"{place}: HF_HOME is on no volume, so every new pod downloads the model again; put it below a mountPath"


def _containers(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_mapping(container) for container in _at(group, "template", "spec", "containers") or ()]


def _unknown(place: str, section: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    for name in section:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            yield f"{place}.{name}: not a field of it{guess}".lstrip(".")


def _at(value: object, *path: str) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
