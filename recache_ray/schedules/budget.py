"""Budgets as users write them: ``10``, ``"x5"``, ``"20%"``, ``"250ms"``, and ranges such as ``"3..10"``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from recache_ray.errors import BadInputError

_FORMS = 'write a number of computed steps (10), a speed-up ("x5"), a share of the compute ("20%") or a time ("250ms")'
_RANGE = re.compile(r"\s*(\d+)\s*\.\.\s*(\d+)\s*")
_TOLERANCE = 0.02
_SECONDS = {"ms": 0.001, "s": 1.0}


@dataclass(frozen=True, slots=True)
class BudgetCost:
    """What steps cost, which is what budgets other than k are resolved with.

    Attributes:
        cached_share: FLOPs of a cached step as a share of a computed one.
        computed_s: measured seconds of a computed step; None where none were measured, so that times are refused.
        cached_s: measured seconds of a cached step.
    """

    cached_share: float = 0.0
    computed_s: float | None = None
    cached_s: float = 0.0


FREE = BudgetCost()
"""Cached steps that cost nothing: ``x5`` is a fifth of the steps."""


def parse_budget(budget: int | str, num_steps: int, *, cost: BudgetCost = FREE, name: str = "budget") -> int:
    """Turn any budget form into k, the largest number of computed steps that keeps to it.

    A schedule costs ``k`` computed steps and ``num_steps - k`` cached ones. A speed-up or share that k would meet with
    free cached steps is granted if their cost exceeds it by at most 2%: x5 of 50 steps is 10 of them, although a
    cached step costs a fraction of a percent. Times are kept to strictly; they are of the transformer alone.

    Args:
        budget: ``k``, ``"x<ratio>"``, ``"<share>%"`` or ``"<time>ms"`` / ``"<time>s"``.
        num_steps: T.
        cost: of steps.
        name: what to call the value in an error message.

    Raises:
        BadInputError: if the budget is not one of the forms, gives k outside 1..T, or is a time and none was measured.
    """
    amount, unit = _read(budget, name)
    match unit:
        case "steps":
            k = int(amount)
        case "%" | "x":
            bound = num_steps * amount / 100 if unit == "%" else num_steps / amount
            k = int(bound + 1e-9)
            if k + (num_steps - k) * cost.cached_share > bound * (1 + _TOLERANCE):
                k = _floored(bound, num_steps, 1.0, cost.cached_share)
        case _:
            if cost.computed_s is None:
                raise BadInputError(
                    f"{name} = {budget!r}: no time of a step was measured; give k, a speed-up or a share, or measure "
                    "times first: recache bench step"
                )
            if cost.cached_s >= cost.computed_s:
                raise BadInputError(
                    f"{name} = {budget!r}: a cached step was measured to take {cost.cached_s:.3g} s, no less than a "
                    f"computed one ({cost.computed_s:.3g} s); measure again on an idle machine (recache bench step)"
                )
            k = _floored(amount * _SECONDS[unit], num_steps, cost.computed_s, cost.cached_s)
    return _checked(k, num_steps, budget, name)


def budget_unit(budget: int | str, *, name: str = "budget") -> Literal["steps", "flops", "seconds"]:
    """What a budget or a range is given in.

    Raises:
        BadInputError: if it is not one of the forms.
    """
    if isinstance(budget, str) and _RANGE.fullmatch(budget):
        return "steps"
    unit = _read(budget, name)[1]
    return "steps" if unit == "steps" else "seconds" if unit in _SECONDS else "flops"


def split_budgets(budgets: int | str | Iterable[int | str]) -> tuple[int | str, ...]:
    """The parts of ``"3..10, x5"`` or of a list, as they are written."""
    if isinstance(budgets, str):
        return tuple(part for part in budgets.replace("[", "").replace("]", "").split(",") if part.strip())
    return tuple(budgets) if isinstance(budgets, Iterable) else (budgets,)


def parse_budgets(
    budgets: int | str | Iterable[int | str], num_steps: int, *, cost: BudgetCost = FREE, name: str = "budgets"
) -> tuple[int, ...]:
    """Turn ``"3..10"``, ``"3,5,8"``, ``5`` or a list of budgets into ascending distinct values of k.

    Raises:
        BadInputError: if empty, malformed or out of 1..T, or as :func:`parse_budget`.
    """
    chosen: set[int] = set()
    for part in split_budgets(budgets):
        span = _RANGE.fullmatch(part) if isinstance(part, str) else None
        if span is None:
            chosen.add(parse_budget(part, num_steps, cost=cost, name=name))
            continue
        low, high = int(span[1]), int(span[2])
        if low > high:
            raise BadInputError(f"{name} = {part!r}: the range is empty; write it as low..high")
        chosen.update((_checked(low, num_steps, part, name), _checked(high, num_steps, part, name)))
        chosen.update(range(low, high + 1))
    if not chosen:
        raise BadInputError(f'{name} = {budgets!r}: no budget given; write for example "3..10"')
    return tuple(sorted(chosen))


def _read(budget: int | str, name: str) -> tuple[float, str]:
    """Amount and unit: steps, x, %, ms or s."""
    if isinstance(budget, bool) or not isinstance(budget, int | str):
        raise BadInputError(f"{name} = {budget!r}: not a budget; {_FORMS}")
    text = str(budget).strip().lower()
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text), "steps"
    match = re.fullmatch(r"(x)?(\d+(?:\.\d+)?)(%|ms|s|x)?", text)
    if match is None or bool(match[1]) == bool(match[3]):
        raise BadInputError(f"{name} = {budget!r}: not a budget; {_FORMS}")
    if float(match[2]) <= 0:
        raise BadInputError(f"{name} = {budget!r}: must be above 0")
    return float(match[2]), match[3] or "x"


def _floored(bound: float, num_steps: int, computed: float, cached: float) -> int:
    """The largest k with ``k * computed + (num_steps - k) * cached <= bound``."""
    return int((bound - num_steps * cached) / (computed - cached) + 1e-9)


def _checked(k: int, num_steps: int, given: int | str, name: str) -> int:
    if not 1 <= k <= num_steps:
        raise BadInputError(
            f"{name} = {given!r}: gives {k} computed steps; must be between 1 and num_steps = {num_steps}"
        )
    return k
