"""What a sweep searches: settings by their dotted names, each with the values it may take."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError

_FORM = re.compile(r"([\w.]+)\s*=\s*(\w+)\((.*)\)")
_KINDS = ("uniform", "loguniform", "integer", "choice")
_UNSEARCHABLE = ("run", "references", "prompts", "runtime", "tracking", "model", "evaluation", "sweep", "reward")
Value = int | float | str


@dataclass(frozen=True, slots=True)
class Dimension:
    """One setting of a search.

    Attributes:
        name: dotted path of the setting.
        kind: ``uniform``, ``loguniform``, ``integer`` (both ends included) or ``choice``.
        values: the two ends, or the choices.
    """

    name: str
    kind: str
    values: tuple[Value, ...]


def parse_space(config: Config) -> tuple[Dimension, ...]:
    """The dimensions of ``sweep.space``, every one of them tried at its ends against the bounds of its setting.

    Raises:
        BadInputError: if there is none, one cannot be read, names no setting that may be searched, or reaches beyond
            what the setting allows.
    """
    if not config.sweep.space:
        raise BadInputError("sweep.space is empty: nothing to search; choose a group with sweep=..., see --help")
    dimensions = tuple(_dimension(config, text) for text in config.sweep.space)
    names = [dimension.name for dimension in dimensions]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"sweep.space: {name} is named {names.count(name)} times; keep one")
    for dimension in dimensions:
        for value in dimension.values:
            with_values(config, {dimension.name: value})
        _check_given(dimension, given_values(config, (dimension,))[dimension.name])
    return dimensions


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with some settings, by dotted name, replaced.

    Raises:
        BadInputError: as :func:`load_config`.
    """
    mapping = to_mapping(config)
    for name, value in values.items():
        section, _, knob = name.partition(".")
        mapping[section][knob] = value
    return load_config(mapping)


def given_values(config: Config, dimensions: Sequence[Dimension]) -> dict[str, Value]:
    """What the configuration has for the settings of a search."""
    mapping = to_mapping(config)
    return {d.name: mapping[d.name.partition(".")[0]][d.name.partition(".")[2]] for d in dimensions}


def _check_given(dimension: Dimension, given: Value) -> None:
    """The settings as given are the first training, so they must be one of the points."""
    if dimension.kind == "choice":
        inside = given in dimension.values
    else:
        low, high = dimension.values
        inside = low <= given <= high  # type: ignore[operator]
    if not inside:
        shown = ", ".join(map(str, dimension.values))
        raise BadInputError(
            f"{dimension.name} = {given}: outside {dimension.kind}({shown}) of sweep.space, whose search begins with "
            "it; widen the range or change the setting"
        )


def _dimension(config: Config, text: str) -> Dimension:
    match = _FORM.fullmatch(text.strip())
    if match is None or match[2] not in _KINDS:
        raise BadInputError(f"sweep.space: {text!r} cannot be read; write NAME={'(..), '.join(_KINDS)}(..)")
    name, kind, inside = match[1], match[2], match[3]
    section, _, knob = name.partition(".")
    mapping = to_mapping(config)
    if knob not in mapping.get(section, {}):
        raise BadInputError(f"sweep.space: {name}: unknown setting; see recache tune --help-all")
    if section in _UNSEARCHABLE:
        raise BadInputError(
            f"sweep.space: {name}: would change what trainings are judged by, or where; search settings of learning, "
            "policy or mechanism"
        )
    values = tuple(_value(part) for part in inside.split(",") if part.strip())
    if kind == "choice":
        if len(values) < 2:
            raise BadInputError(f"sweep.space: {text!r}: a choice needs at least two values")
        return Dimension(name, kind, values)
    if len(values) != 2 or not all(_fits(kind, value) for value in values) or not values[0] < values[1]:  # type: ignore[operator]
        whole = "whole " if kind == "integer" else ""
        raise BadInputError(f"sweep.space: {text!r}: needs two ascending {whole}numbers")
    if kind == "loguniform" and values[0] <= 0:  # type: ignore[operator]
        raise BadInputError(f"sweep.space: {text!r}: a logarithmic range must begin above 0")
    if kind in ("uniform", "loguniform") and isinstance(mapping[section][knob], int):
        raise BadInputError(f"sweep.space: {name} is a whole number; write {name}=integer({inside})")
    return Dimension(name, kind, values)


def _value(text: str) -> Value:
    text = text.strip()
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _fits(kind: str, value: Value) -> bool:
    if kind == "integer":
        return isinstance(value, int)
    return isinstance(value, int | float) and math.isfinite(value)
