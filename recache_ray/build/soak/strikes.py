"""What is damaged when: drawn from a seed before anything starts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from recache_ray.errors import BadInputError
from recache_ray.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault.

    Attributes:
        role: what is hit, one of ``recache_ray.config.faults.ROLES``.
        at_s: seconds after the first update.
        pick: in [0, 1), which of those in the role.
        pause_s: how long a slow actor is stopped.
    """

    role: str
    at_s: float
    pick: float
    pause_s: float


def draw_strikes(
    roles: Sequence[str], known: Sequence[str], kills: int, window_s: float, longest_pause_s: float, seed: int
) -> list[Strike]:
    """``kills`` faults at uniform random moments of the window, in order; every role comes up once before any again.

    Raises:
        BadInputError: if a role is unknown or none is given.
    """
    unknown = [role for role in roles if role not in known]
    if unknown or not roles:
        raise BadInputError(
            f"faults.roles = [{','.join(roles)}]: {unknown[0] if unknown else 'nothing'} is not a role; "
            f"choose from {', '.join(known)}"
        )
    draw = random.Random(derive_seed("strikes", seed))
    order: list[str] = []
    while len(order) < kills:
        order += draw.sample(tuple(roles), len(roles))
    moments = sorted(draw.uniform(0.0, window_s) for _ in range(kills))
    return [
        Strike(role, at_s, draw.random(), draw.uniform(0.3, 1.0) * longest_pause_s)
        for role, at_s in zip(order, moments, strict=False)
    ]
