"""Typed, bounded, documented configuration fields, and the one function that turns plain data into them."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from recache_ray.errors import BadInputError

T = TypeVar("T")


def knob(
    default: Any,
    doc: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] | None = None,
    required: bool = False,
) -> Any:
    """A dataclass field with its meaning (unit, consequence) and bounds; ``required`` refuses the empty string.

    The bounds of a list hold for each of its values.
    """
    metadata = {"doc": doc, "ge": ge, "gt": gt, "le": le, "choices": choices, "required": required}
    return dataclasses.field(default=default, metadata=metadata)


def section(cls: type[T]) -> T:
    """A nested group of knobs with its own defaults."""
    return dataclasses.field(default_factory=cls, metadata={"section": True})


def from_mapping(cls: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """Build the frozen dataclass ``cls`` from nested plain data, checking names, types and bounds.

    Raises:
        BadInputError: names the dotted path, the value, the bound and the nearest valid name or value.
    """
    hints = typing.get_type_hints(cls)
    known = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        dotted = f"{path}{name}"
        if name not in known:
            raise BadInputError(f"{dotted}: unknown setting{_nearest(name, tuple(known))}")
        if known[name].metadata.get("section"):
            if not isinstance(value, Mapping):
                raise BadInputError(f"{dotted} = {value!r}: a group of settings; set one of {_names(hints[name])}")
            arguments[name] = from_mapping(hints[name], value, f"{dotted}.")
        else:
            arguments[name] = _checked(dotted, value, hints[name], known[name].metadata)
    return cls(**arguments)


def to_mapping(config: Any) -> dict[str, Any]:
    """The inverse of :func:`from_mapping`: nested plain data, JSON-ready."""
    return {
        item.name: to_mapping(getattr(config, item.name))
        if item.metadata.get("section")
        else _plain(getattr(config, item.name))
        for item in dataclasses.fields(config)
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _names(cls: type) -> str:
    return ", ".join(item.name for item in dataclasses.fields(cls))


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _checked(dotted: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    value = _converted(dotted, value, hint)
    choices = metadata.get("choices")
    if choices and value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise BadInputError(f"{dotted} = {value!r}: must be one of {', '.join(choices)}{guess}")
    if metadata.get("required") and value == "":
        raise BadInputError(f"{dotted}: must be given; add {dotted}=... to the command")
    for place, item in enumerate(value) if isinstance(value, tuple) else ():
        _check_bounds(f"{dotted}[{place}]", item, metadata)
    _check_bounds(dotted, value, metadata)
    return value


def _check_bounds(dotted: str, value: Any, metadata: Mapping[str, Any]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    for bound, fails, sign in (
        ("ge", lambda limit: value < limit, "at least"),
        ("gt", lambda limit: value <= limit, "above"),
        ("le", lambda limit: value > limit, "at most"),
    ):
        limit = metadata.get(bound)
        if limit is not None and (fails(limit) or value != value):
            raise BadInputError(f"{dotted} = {value}: must be {sign} {limit} ({metadata['doc']})")


def _converted(dotted: str, value: Any, hint: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    for option in options:
        if typing.get_origin(option) is tuple:
            if isinstance(value, list | tuple):
                inner = typing.get_args(option)[0]
                return tuple(_converted(f"{dotted}[{i}]", item, inner) for i, item in enumerate(value))
        elif option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        elif isinstance(value, option) and not (option is int and isinstance(value, bool)):
            return value
    lists = any(typing.get_origin(option) is tuple for option in options)
    wanted = f"a list, as in [{value}]" if lists else " or ".join(option.__name__ for option in options)
    raise BadInputError(f"{dotted} = {value!r}: is {type(value).__name__}, must be {wanted}")
