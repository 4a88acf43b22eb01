"""``manifest.json``: which model and settings made the references of a store."""

from __future__ import annotations

import json
from pathlib import Path

from recache_ray.errors import BadInputError
from recache_ray.references.files import partial_file, sync
from recache_ray.references.identity import Identity, canonical_json, content_key

SCHEMA_VERSION = 1
_SHOWN_DIFFERENCES = 3


def ensure_manifest(directory: Path, identity: Identity) -> None:
    """Write the manifest of a new store, or require that the one there was made from the same identity.

    Raises:
        BadInputError: naming the first fields that differ, or that the manifest cannot be read.
        OSError: if it cannot be written.
    """
    path = directory / "manifest.json"
    wanted = json.loads(canonical_json(identity))
    if not path.exists():
        document = {"schema_version": SCHEMA_VERSION, "content_key": content_key(identity), "identity": wanted}
        with partial_file(directory) as (partial, stream):
            stream.write((json.dumps(document, indent=2, sort_keys=True) + "\n").encode())
            sync(stream)
            partial.replace(path)
    stored = _read(path, directory)
    differing = [name for name in sorted(stored.keys() | wanted.keys()) if stored.get(name) != wanted.get(name)]
    if differing:
        shown = differing[:_SHOWN_DIFFERENCES]
        holds = ", ".join(f"{name} = {stored.get(name, 'absent')}" for name in shown)
        needs = ", ".join(str(wanted.get(name, "absent")) for name in shown)
        more = f" ({len(differing) - len(shown)} more differ)" if len(differing) > len(shown) else ""
        raise BadInputError(
            f"references.dir = {directory} holds references of {holds}, this run needs {needs}{more}; "
            "choose another references.dir"
        )


def _read(path: Path, directory: Path) -> dict[str, str | int | float]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version, identity = document["schema_version"], dict(document["identity"])
        whole = document["content_key"] == content_key(identity)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(directory, f"{type(error).__name__}: {error}") from error
    if version != SCHEMA_VERSION:
        raise BadInputError(
            f"references.dir = {directory}: manifest.json has schema_version = {version}, this release reads "
            f"{SCHEMA_VERSION}; choose another references.dir"
        )
    if not whole:
        raise _unreadable(directory, "its identity does not match its content_key")
    return identity


def _unreadable(directory: Path, why: str) -> BadInputError:
    return BadInputError(
        f"references.dir = {directory}: manifest.json is damaged ({why}); delete that file, a new one is written and "
        "references of other settings are still refused"
    )
