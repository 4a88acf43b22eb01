"""The one check every baseline makes."""

from __future__ import annotations

from recache_ray.errors import BadInputError


def check_budget(num_steps: int, budget: int) -> None:
    """Require 1 <= k <= T.

    Raises:
        BadInputError: naming both.
    """
    if not 1 <= budget <= num_steps:
        raise BadInputError(f"budget = {budget}: must be between 1 and num_steps = {num_steps}")
