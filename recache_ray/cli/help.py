"""Help text, generated from the settings' own metadata and the folder of groups, so that it cannot lie."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from recache_ray.cli.catalogue import Setting, sections, settings
from recache_ray.cli.groups import default_option, describe, groups
from recache_ray.cli.verb import Verb
from recache_ray.cli.verbs import VERBS

_WIDTH = 110
_FOOTER = "Exit status: 0 done, 1 failed (or a benchmark missed its target), 2 bad input, 130 interrupted."


def overview() -> str:
    """The answer to ``recache --help``."""
    return "\n".join(
        [
            "recache: learn which denoising steps of a diffusion model to compute, for any compute budget",
            "",
            "Usage: recache VERB [name=value ...]",
            "",
            "Verbs:",
            *_columns((verb.name, verb.summary) for verb in VERBS.values()),
            "",
            "Options:",
            *_columns(
                (
                    ("VERB --help", "what the verb does, its most useful settings and examples"),
                    ("VERB --help-all", "the same with every setting"),
                    ("VERB --print-config", "print the settings it would run with, as JSON, and stop"),
                    ("--version", "print the version"),
                )
            ),
            "",
            "First steps:",
            "  recache train",
            '  recache generate prompt="a small blue circle on the right of a black background" budget=6',
            "",
            _FOOTER,
        ]
    )


def verb_help(verb: Verb, *, every_setting: bool = False) -> str:
    """The answer to ``recache VERB --help``, or to ``--help-all`` with ``every_setting``."""
    paths = tuple(settings()) if every_setting else tuple(_expanded(verb.useful))
    short = {path: name for name, path in verb.spellings.items()}
    return "\n".join(
        [
            f"recache {verb.name}: {verb.summary}",
            "",
            f"Usage: recache {verb.name} [name=value ...]",
            *_starting_point(verb),
            "",
            "Settings:" if every_setting else "Most useful settings (--help-all describes all of them and the groups):",
            *_columns(
                (_assignment(settings()[path], short.get(path, path)), _meaning(settings()[path])) for path in paths
            ),
            "",
            "Groups of settings, chosen together as name=option:",
            *_columns(_group_rows(every_setting)),
            "",
            "Examples:",
            *(f"  {example}" for example in verb.examples),
            "",
            _FOOTER,
        ]
    )


def _starting_point(verb: Verb) -> Iterable[str]:
    if verb.start == "resume":
        return ("Where run.dir holds a run, its config.json supplies the settings and the run goes on.",)
    if verb.start == "existing":
        return ("The config.json of the run in run.dir supplies the settings; what you give here comes on top.",)
    return ()


def _group_rows(every_option: bool) -> Iterable[tuple[str, str]]:
    for group, options in groups().items():
        if every_option:
            yield from ((f"{group}={option}", describe(group, option)) for option in options)
        else:
            chosen = default_option(group)
            others = ", ".join(option for option in options if option != chosen)
            yield f"{group}={chosen}", f"or {others}" if others else ""


def _expanded(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield from sections().get(name, (name,))


def _assignment(setting: Setting, name: str) -> str:
    return f"{name}={setting.shown_default}"


def _meaning(setting: Setting) -> str:
    return f"{setting.doc} [{setting.limits}]" if setting.limits else setting.doc


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Two columns; a left cell too long for its column has a line of its own."""
    rows = list(rows)
    left = min(max(len(name) for name, _ in rows), 38) + 2
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, _WIDTH - left - 2) or [""]
        if len(name) > left - 2:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name:<{left}}{wrapped.pop(0)}".rstrip())
        lines += [" " * (left + 2) + line for line in wrapped]
    return lines
