"""What the user typed, checked against the settings and groups that exist and made safe for Hydra's grammar.

Hydra reads ``a b, c`` as two values of a sweep and ``2024`` as a number. A setting that holds text takes its value as
typed; ``${section.name}`` in it refers to another setting, except in a prompt, where every character counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from recache_ray.cli.catalogue import Setting, nearest, sections, settings
from recache_ray.cli.groups import groups
from recache_ray.errors import BadInputError

_LITERAL = frozenset({"generate.prompt"})
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def hydra_overrides(arguments: Sequence[str], spellings: Mapping[str, str]) -> list[str]:
    """Check every ``name=value`` and return them in Hydra's grammar.

    Args:
        arguments: what followed the verb on the command line.
        spellings: short names this verb accepts, to the dotted path each stands for.

    Raises:
        BadInputError: names the setting as typed, the nearest one that exists, and the remedy.
    """
    return [_override(argument, spellings) for argument in arguments]


def quoted(text: str) -> str:
    """``text`` as a quoted string of Hydra's grammar, where backslashes only count before a quote or at the end."""
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", text)
    return "'" + re.sub(r"(\\+)$", lambda match: match[1] * 2, escaped) + "'"


def without_references(text: str) -> str:
    """``text`` with every ``${`` escaped, so that OmegaConf takes it as written."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)


def _override(argument: str, spellings: Mapping[str, str]) -> str:
    name, equals, value = argument.partition("=")
    if argument.startswith("-"):
        raise BadInputError(f"{name}: unknown option; settings are written name=value without dashes, see --help")
    if not equals or not name:
        raise BadInputError(f"{argument}: not a setting; write name=value{_suggestion(name, spellings)}")
    if name[0] in "+~":
        raise BadInputError(f"{name}: every setting exists already; write {name.lstrip('+~')}=value")
    name = spellings.get(name, name)
    if name in groups():
        return f"{name}={_option(name, value)}"
    if name in settings():
        return f"{name}={_value(settings()[name], value)}"
    if name in sections():
        raise BadInputError(f"{argument}: {name} is a group of settings; set one of {', '.join(sections()[name])}")
    raise BadInputError(f"{name}: unknown setting{_suggestion(name, spellings)}")


def _suggestion(name: str, spellings: Mapping[str, str]) -> str:
    return nearest(name, (*groups(), *spellings, *settings())) or "; see --help"


def _option(group: str, value: str) -> str:
    if value in groups()[group]:
        return value
    inside = next((path for path in settings() if path in (f"{group}.kind", f"{group}.file", f"{group}.dir")), "")
    also = f", or set {inside} itself" if inside else ""
    raise BadInputError(
        f"{group}={value}: no such option{nearest(value, groups()[group])} "
        f"(options: {', '.join(groups()[group])}{also})"
    )


def _value(setting: Setting, value: str) -> str:
    if setting.is_list and not value.startswith("["):
        return f"[{value}]"
    if not setting.is_text:
        return value
    if _QUOTED.fullmatch(value):
        value = value[1:-1].replace(f"\\{value[0]}", value[0])
    if setting.path in _LITERAL:
        return quoted(without_references(value))
    return quoted(str(Path(value).expanduser()) if value.startswith("~/") else value)
