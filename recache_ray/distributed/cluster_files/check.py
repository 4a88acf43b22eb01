"""One report about one cluster file, whichever of the known kinds it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recache_ray.distributed.cluster_files import kuberay, ray_up, runtime_env, serve
from recache_ray.distributed.cluster_files.secrets import secret_problems
from recache_ray.errors import BadInputError

_PLACEHOLDER = re.compile(r"FILL_IN_[A-Z_]+")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class ClusterFileReport:
    """What a cluster file is and what stands between it and use.

    Attributes:
        kind: for example ``ray up on aws`` or ``RayJob``.
        problems: what would not work, or not safely, one line each: place, value, reason, remedy.
        to_do: what only the owner can add: placeholders, a token, a wheel.
        nodes: one line for each kind of node.
    """

    kind: str
    problems: tuple[str, ...]
    to_do: tuple[str, ...]
    nodes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return not self.problems and not self.to_do


def check_cluster_file(path: Path, setting: str = "cluster.file") -> ClusterFileReport:
    """Check a file for ``ray up`` or ``serve deploy``, a KubeRay object or the runtime environment of a job.

    Paths in the file are taken relative to the working directory, as ``ray up`` takes them.

    Args:
        path: the file.
        setting: what named it, for the message where it cannot be read.

    Raises:
        BadInputError: if it cannot be read, is not YAML or none of these, or needs Ray Serve and that is not installed.
    """
    text, document = _read(path, setting)
    known: dict[str, tuple[Callable[[Document], Iterator[str]], Callable[[Document], Iterator[str]]]] = {
        "RayCluster": (kuberay.cluster_problems, kuberay.nodes),
        "RayJob": (kuberay.job_problems, kuberay.nodes),
        "PersistentVolumeClaim": (kuberay.volume_problems, lambda document: iter(())),
    }
    to_do = [
        f"{path}, line {number}: replace {name}"
        for number, line in enumerate(text.splitlines(), start=1)
        for name in _PLACEHOLDER.findall(line)
    ]
    kind = str(document.get("kind", ""))
    if kind in known:
        problems, nodes = known[kind]
    elif "provider" in document or "cluster_name" in document:
        kind = f"ray up on {ray_up.provider_type(document) or 'no provider'}"
        problems, nodes = ray_up.problems, ray_up.nodes
        to_do += ray_up.missing_sources(document)
    elif runtime_env.is_runtime_env(document):
        kind, problems, nodes = "runtime environment", runtime_env.problems, lambda document: iter(())
    elif serve.is_serve_config(document):
        kind, problems, nodes = "serve deploy", serve.problems, serve.nodes
    else:
        raise BadInputError(
            f"{path}: neither a file for ray up (cluster_name, provider) nor one of {', '.join(known)} nor the "
            f"runtime environment of a job nor one for serve deploy; its keys are {', '.join(map(str, document))}"
        )
    found = (*problems(document), *secret_problems(document))
    return ClusterFileReport(kind, found, tuple(to_do), () if found else tuple(nodes(document)))


def _read(path: Path, setting: str) -> tuple[str, Document]:
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise BadInputError(f"{setting} = {str(path)!r}: cannot be read ({reason}); name a YAML file") from error
    except yaml.YAMLError as error:
        raise BadInputError(f"{path}: not YAML ({' '.join(str(error).split())[:200]}); correct it") from error
    if not isinstance(document, Mapping):
        raise BadInputError(f"{path}: holds no settings; name a cluster file such as cluster/gpu.yaml")
    return text, document
