"""Budgets as users write them: ``10``, ``"x5"``, ``"20%"``, ``"250ms"``, and ranges such as ``"3..10"``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from recache_ray.errors import BadInputError

_FORMS = 'write a number of computed steps (10), a speed-up ("x5"), a share of the compute ("20%") or a time ("250ms")'


def parse_budget(
    budget: int | str,
    num_steps: int,
    *,
    cached_step_cost: float = 0.0,
    seconds_per_step: float | None = None,
    name: str = "budget",
) -> int:
    """Turn any budget form into k, the number of computed steps, rounded down so that the bound holds.

    A schedule costs ``k + (T - k) * cached_step_cost`` computed steps.

    Args:
        budget: ``k``, ``"x<ratio>"``, ``"<share>%"`` or ``"<time>ms"`` / ``"<time>s"``.
        num_steps: T.
        cached_step_cost: cost of a cached step as a share of a computed one.
        seconds_per_step: measured seconds of one computed step; times are refused without it.
        name: what to call the value in an error message.

    Raises:
        BadInputError: if the budget is not one of the forms or gives k outside 1..T.
    """
    if isinstance(budget, bool) or not isinstance(budget, int | str):
        raise BadInputError(f"{name} = {budget!r}: not a budget; {_FORMS}")
    text = str(budget).strip().lower()
    if re.fullmatch(r"[+-]?\d+", text):
        return _checked(int(text), num_steps, budget, name)
    match = re.fullmatch(r"(x)?(\d+(?:\.\d+)?)(%|ms|s|x)?", text)
    if match is None or bool(match[1]) == bool(match[3]):
        raise BadInputError(f"{name} = {budget!r}: not a budget; {_FORMS}")
    amount, unit = float(match[2]), match[3] or "x"
    if amount <= 0:
        raise BadInputError(f"{name} = {budget!r}: must be above 0")
    if unit in ("ms", "s"):
        if seconds_per_step is None:
            raise BadInputError(f"{name} = {budget!r}: no time was calibrated for this model; {_FORMS[:-16]}")
        cost = amount * (0.001 if unit == "ms" else 1.0) / seconds_per_step
    elif unit == "%":
        cost = num_steps * amount / 100
    else:
        cost = num_steps / amount
    k = int((cost - num_steps * cached_step_cost) / (1 - cached_step_cost) + 1e-9)
    return _checked(k, num_steps, budget, name)


def parse_budgets(
    budgets: int | str | Iterable[int | str], num_steps: int, *, name: str = "budgets"
) -> tuple[int, ...]:
    """Turn ``"3..10"``, ``"3,5,8"``, ``5`` or a list of budgets into ascending distinct values of k.

    Raises:
        BadInputError: if empty, malformed or out of 1..T.
    """
    if isinstance(budgets, str):
        parts: list[int | str] = [part for part in budgets.replace("[", "").replace("]", "").split(",") if part.strip()]
    elif isinstance(budgets, Iterable):
        parts = list(budgets)
    else:
        parts = [budgets]
    chosen: set[int] = set()
    for part in parts:
        span = re.fullmatch(r"\s*(\d+)\s*\.\.\s*(\d+)\s*", part) if isinstance(part, str) else None
        if span is None:
            chosen.add(parse_budget(part, num_steps, name=name))
            continue
        low, high = int(span[1]), int(span[2])
        if low > high:
            raise BadInputError(f"{name} = {part!r}: the range is empty; write it as low..high")
        chosen.update((_checked(low, num_steps, part, name), _checked(high, num_steps, part, name)))
        chosen.update(range(low, high + 1))
    if not chosen:
        raise BadInputError(f'{name} = {budgets!r}: no budget given; write for example "3..10"')
    return tuple(sorted(chosen))


def _checked(k: int, num_steps: int, given: int | str, name: str) -> int:
    if not 1 <= k <= num_steps:
        raise BadInputError(
            f"{name} = {given!r}: gives {k} computed steps; must be between 1 and num_steps = {num_steps}"
        )
    return k
