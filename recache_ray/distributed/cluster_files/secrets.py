"""No secret belongs in a cluster file: it ends in the repository, on every node and in job metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

_SHAPES = {
    "a hub token": re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a user and password": re.compile(r"://[^/\s:@]+:[^/\s@]+@"),
}
_NAMED = re.compile(r"(?:^|[\s=])([A-Z0-9_]*(?:TOKEN|PASSWORD|SECRET|API_KEY))=(?!\$|FILL_IN)\S")
_SECRET_NAME = re.compile(r"[A-Z0-9_]*(?:TOKEN|PASSWORD|SECRET|API_KEY)")


def secret_problems(document: object, place: str = "") -> Iterator[str]:
    """Places that hold what looks like a secret; never the secret itself."""
    if isinstance(document, Mapping):
        name = document.get("name")
        if isinstance(name, str) and _SECRET_NAME.fullmatch(name) and document.get("value"):
            yield f"{place}.value: {name} is given in the file; take it from a Kubernetes secret (valueFrom)"
        for key, value in document.items():
            inside = f"{place}.{key}" if place else str(key)
            if _SECRET_NAME.fullmatch(str(key)) and isinstance(value, str) and value:
                yield f"{inside}: is given in the file; keep it in a file on the shared volume"
            yield from secret_problems(value, inside)
    elif isinstance(document, Sequence) and not isinstance(document, str):
        for index, value in enumerate(document):
            yield from secret_problems(value, f"{place}[{index}]")
    elif isinstance(document, str):
        for what, shape in _SHAPES.items():
            if shape.search(document):
                yield f"{place}: holds what looks like {what}; keep it in a file on the shared volume"
        for match in _NAMED.finditer(document):
            yield f"{place}: {match[1]} is given in the file; keep it in a file on the shared volume"
