"""The versions of ``schedules.json``: older ones are migrated, newer ones refused, and so is what a hand has changed.

A file is sealed with the SHA-256 of its content. The seal keeps no secret and stops nobody who means to change a file;
it tells a server that what it serves is what was learned and measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from recache_ray.errors import BadInputError

SCHEMA_VERSION = 2
DIGEST = "digest"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document of the current version with its digest."""
    content = {name: value for name, value in document.items() if name != DIGEST}
    return {**content, DIGEST: content_digest(content)}


def content_digest(document: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of everything but the digest, whatever the order, the layout, and 1.0 written as 1."""
    content = {name: _plain(value) for name, value in document.items() if name != DIGEST}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def current_document(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A document of any version up to this one, as one of this version.

    Args:
        document: what was read.
        source: where, for messages.

    Raises:
        BadInputError: if the version is newer than this release or none, or the content is not what was sealed.
    """
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadInputError(
            f"{source}: not a schedule table (schema_version = {version!r}); give the schedules.json of a run"
        )
    if version > SCHEMA_VERSION:
        raise BadInputError(
            f"{source}: schema_version = {version}, this release reads up to {SCHEMA_VERSION}; update recache_ray"
        )
    migrated = dict(document)
    for step in range(version, SCHEMA_VERSION):
        migrated = _MIGRATIONS[step](migrated)
    if version == SCHEMA_VERSION and migrated.get(DIGEST) != content_digest(migrated):
        reason = "does not match its content" if DIGEST in migrated else "is missing"
        raise BadInputError(
            f"{source}: was changed after it was written (its digest {reason}); restore the file, or make the table "
            "you want with recache.ScheduleTable(...) and its save()"
        )
    return migrated


def _seal_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had no digest, and files written before times were measured had no cost."""
    return sealed({"cost": {}, **document, "schema_version": 2})


_MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _seal_version_1}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
