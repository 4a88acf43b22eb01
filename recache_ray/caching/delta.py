"""Delta-DiT (arXiv 2406.01125): the front blocks run at every step, the change that the rear blocks make is reused.

Follows the authors' rule for early steps as TaylorSeer's authors ported it to FLUX, where the double blocks run and the
single ones are cached, 19 and 38 of 57. Without the port's free steps in between: a cached step costs a third of a
computed one, so no schedule is cheaper than a third of the uncached generation. The paper caches the front blocks
instead towards the end of a generation; here every cached step is of the one kind.
"""

from __future__ import annotations

import math

from recache_ray.caching.reuse import Reuse

RUNNING_SHARE = 1 / 3
"""Share of the blocks that run at a cached step, rounded up: the double ones of FLUX.1 and HunyuanVideo."""


class DeltaDiT(Reuse):
    """Repeats, on top of what the front blocks make of the current tokens, the residual [B, N, D] of the rear ones."""

    id = "delta"


def first_cached_block(num_blocks: int) -> int:
    """How many blocks run at a cached step.

    Args:
        num_blocks: blocks of the transformer, at least 1; where it has a single one, that is cached.
    """
    return min(math.ceil(RUNNING_SHARE * num_blocks), num_blocks - 1)
