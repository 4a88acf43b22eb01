"""What a request for a picture may ask, checked before anything is computed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule, ScheduleTable

_FIELDS = ("prompt", "budget", "seed", "width", "height", "num_steps")
_LARGEST_SEED = 2**63 - 1
_LONGEST_BUDGET = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """What is served: the schedules, the one size they were learned for, and the longest prompt."""

    table: ScheduleTable
    width: int
    height: int
    max_prompt_chars: int


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """A checked request.

    Attributes:
        prompt: text.
        seed: of the starting noise.
        schedule: what its budget chose.
    """

    prompt: str
    seed: int
    schedule: Schedule


def parse_request(document: Any, offer: Offer) -> PictureRequest:
    """Check the JSON document of a request: ``{"prompt": "a cat", "budget": "x4", "seed": 7}``.

    ``width``, ``height`` and ``num_steps`` may be given to make sure of them.

    Raises:
        BadInputError: naming the field, its value and what is possible.
    """
    if not isinstance(document, Mapping):
        raise BadInputError(f'request: is {_kind(document)}; send an object such as {{"prompt": "a cat", "budget": 5}}')
    for name in document:
        if name not in _FIELDS:
            close = difflib.get_close_matches(str(name), _FIELDS, n=1)
            guess = f"did you mean {close[0]}?" if close else f"fields are {', '.join(_FIELDS)}"
            raise BadInputError(f"{str(name)[:40]}: unknown field; {guess}")
    for name, served in (("width", offer.width), ("height", offer.height), ("num_steps", offer.table.num_steps)):
        if document.get(name, served) != served:
            raise BadInputError(
                f"{name} = {_shown(document[name])}: the schedules were learned for {served}; leave it out"
            )
    return PictureRequest(
        _prompt(document.get("prompt"), offer.max_prompt_chars),
        _seed(document.get("seed", 0)),
        served_schedule(offer.table, document.get("budget")),
    )


def served_schedule(table: ScheduleTable, budget: Any) -> Schedule:
    """The schedule of a budget: every step computed at ``k = T`` or ``"x1"``, else the nearest learned one below.

    Raises:
        BadInputError: if it is malformed or outside the learned budgets.
    """
    if isinstance(budget, bool) or not isinstance(budget, int | str):
        raise BadInputError(f'budget = {_shown(budget)}: must be given as steps (5), "x4", "20%" or "250ms"')
    if len(str(budget)) > _LONGEST_BUDGET:
        raise BadInputError(f"budget = {_shown(budget)}: too long")
    if budget in (table.num_steps, str(table.num_steps), "x1", "100%"):
        return Schedule.full(table.num_steps)
    return table.nearest(budget)


def _prompt(prompt: Any, longest: int) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadInputError(f"prompt = {_shown(prompt)}: must be text")
    if len(prompt) > longest:
        raise BadInputError(f"prompt of {len(prompt)} characters: at most {longest} are taken")
    if any(character < " " and character not in "\t\n\r" for character in prompt):
        raise BadInputError("prompt: holds control characters; send text")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"prompt: is not valid text at character {error.start}") from error
    return prompt.strip()


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
        raise BadInputError(f"seed = {_shown(seed)}: must be a whole number from 0 to {_LARGEST_SEED}")
    return seed


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "null")
