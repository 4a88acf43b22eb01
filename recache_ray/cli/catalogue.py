"""Every setting by dotted name, read off the configuration dataclasses: what help prints, what overrides name."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

from recache_ray.config.root import Config


@dataclass(frozen=True, slots=True)
class Setting:
    """One knob: its dotted path, accepted types, default, meaning and limits."""

    path: str
    types: tuple[Any, ...]
    default: object
    doc: str
    limits: str

    @property
    def is_text(self) -> bool:
        """Whether any text is a value of it, so that nothing in it is to be read as a number or a list."""
        return self.types == (str,)

    @property
    def is_list(self) -> bool:
        return any(typing.get_origin(option) is tuple for option in self.types)

    @property
    def shown_default(self) -> str:
        """The default as one would type it."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if isinstance(self.default, tuple):
            return f"[{','.join(map(str, self.default))}]"
        return '""' if self.default == "" else str(self.default)


@cache
def settings() -> dict[str, Setting]:
    """Dotted path to setting, in the order of the dataclasses."""
    return {setting.path: setting for setting in _walk(Config, "")}


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Section name to the dotted paths in it."""
    found: dict[str, list[str]] = {}
    for path in settings():
        found.setdefault(path.split(".", 1)[0], []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """``; did you mean X?`` for the closest of ``known``, by the whole name or by its last part; empty if none is."""
    known = tuple(known)
    close = difflib.get_close_matches(name, known, n=1)
    if not close:
        by_leaf = {path.rsplit(".", 1)[-1]: path for path in reversed(known)}
        close = [by_leaf[leaf] for leaf in difflib.get_close_matches(name.rsplit(".", 1)[-1], tuple(by_leaf), n=1)]
    return f"; did you mean {close[0]}?" if close else ""


def _walk(cls: type, prefix: str) -> typing.Iterator[Setting]:
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        hint, path = hints[item.name], f"{prefix}{item.name}"
        if item.metadata.get("section"):
            yield from _walk(hint, f"{path}.")
        else:
            options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
            yield Setting(path, options, item.default, item.metadata["doc"], _limits(item.metadata))


def _limits(metadata: typing.Mapping[str, Any]) -> str:
    if metadata["choices"]:
        return " | ".join(metadata["choices"])
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="))
    return ", ".join(f"{sign} {metadata[key]:g}" for key, sign in signs if metadata[key] is not None)
