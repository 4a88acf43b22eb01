"""Whether a run may go on under these settings: what made its results so far must not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from recache_ray.errors import BadInputError

MAY_DIFFER = ("run.dir", "references", "runtime", "tracking", "results", "price", "demo", "serve", "load")
"""Where a run lives, runs, is published and served, which cannot change what it learns."""

_SHOWN = 3


def differing_settings(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted path to (saved, wanted) of every setting that differs and must not, in the order of ``wanted``.

    >>> differing_settings({"run": {"dir": "a", "seed": 0}}, {"run": {"dir": "b", "seed": 1}})
    {'run.seed': (0, 1)}
    """
    before, after = dict(_flat(saved)), dict(_flat(wanted))
    return {
        path: (before.get(path), after.get(path))
        for path in {**after, **before}
        if before.get(path) != after.get(path) and not _may_differ(path)
    }


def check_resumable(saved: Mapping[str, Any], wanted: Mapping[str, Any], run_dir: str) -> None:
    """Refuse to continue the run in ``run_dir`` under other settings than it was started with.

    Raises:
        BadInputError: names the first differing settings with both values, and the ways out.
    """
    differing = differing_settings(saved, wanted)
    if not differing:
        return
    shown = ", ".join(
        f"{path} = {new!r} (the run has {old!r})" for path, (old, new) in list(differing.items())[:_SHOWN]
    )
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    raise BadInputError(
        f"run.dir = {run_dir!r} holds a run with other settings: {shown}{more}; "
        "choose another run.dir, or drop these overrides to resume the run as it was started"
    )


def _may_differ(path: str) -> bool:
    return any(path == allowed or path.startswith(f"{allowed}.") for allowed in MAY_DIFFER)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(value) if isinstance(value, tuple) else value
