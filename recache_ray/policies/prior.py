"""Where learning starts: scores whose best schedule is evenly spaced, slightly denser at the front.

Zero scores would make every schedule of a budget equally likely and the first mode arbitrary, far worse than uniform
caching. The prior is a fixed formula of positions relative to T and k, so it holds at every T and budget, trained or
not; what is learned is added to it. Cached tensors are made outside inference mode, so that a worker that generates
in inference mode leaves nothing behind that a learner in the same process could not differentiate through.

Shapes: K budgets, T steps, E = T(T + 1)/2 forward edges (or the T - 1 free steps).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from recache_ray.policies.path_sums import best_paths

# Steps are evenly spaced in t ** FRONT_DENSITY for t = step / T: errors made early are carried through all later steps.
FRONT_DENSITY = 0.8
STRENGTH = 2.0
# Beyond this many mean gaps the penalty levels off, so that learning can still overturn it.
REACH = 2.0


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def edge_pairs(num_steps: int) -> tuple[Tensor, Tensor]:
    """The forward edges (i, j), i < j <= T, in the row-major order of every packed edge table: two tensors [E]."""
    i, j = torch.triu_indices(num_steps, num_steps + 1, offset=1)
    return i, j


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def edge_prior(num_steps: int, budgets: tuple[int, ...]) -> Tensor:
    """Prior edge scores [K, E]: a bounded penalty on gaps that differ from the mean gap T/k in warped time."""
    i, j = edge_pairs(num_steps)
    warped = _warp(torch.arange(num_steps + 1, dtype=torch.float64) / num_steps)
    gaps = torch.tensor(budgets, dtype=torch.float64)[:, None] * (warped[j] - warped[i])
    deviation = (gaps - 1) ** 2
    return -STRENGTH * deviation / (1 + deviation / REACH**2)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def step_prior(num_steps: int, budgets: tuple[int, ...]) -> Tensor:
    """Prior scores of the free steps 1..T-1 [K, T - 1]: a bump on every step of the best schedule of the edge prior."""
    dense = torch.zeros(len(budgets), num_steps, num_steps + 1, dtype=torch.float64)
    i, j = edge_pairs(num_steps)
    dense[:, i, j] = edge_prior(num_steps, budgets)
    steps = torch.arange(1, num_steps)
    bumps = []
    for budget, path in zip(budgets, best_paths(dense, budgets), strict=True):
        distance = (steps[:, None] - torch.tensor(path)).abs().amin(-1) * (budget / num_steps)
        bumps.append(STRENGTH * torch.exp(-((2.0 * distance) ** 2)))
    return torch.stack(bumps).double()


def _warp(position: Tensor) -> Tensor:
    return position**FRONT_DENSITY
