"""What a verb is; :mod:`recache_ray.cli.verbs` lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recache_ray.cli.resolve import Start

if TYPE_CHECKING:
    from recache_ray.cli.progress import ProgressPrinter
    from recache_ray.config.root import Config

INTERRUPTED = 130
MISSED_TARGET = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """What a verb leaves: text for stdout and the exit status."""

    text: str
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of the console script.

    Attributes:
        start: whether an existing run in run.dir supplies the settings.
        useful: settings its help lists; a name without a dot stands for a whole section.
        spellings: short names of settings, for this verb only.
        required: settings that must not be empty.
    """

    name: str
    summary: str
    start: Start
    useful: tuple[str, ...]
    examples: tuple[str, ...]
    run: Callable[[Config, ProgressPrinter], Finished]
    spellings: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
