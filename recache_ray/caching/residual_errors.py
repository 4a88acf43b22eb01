"""What the residuals of one uncached generation say about caching its steps.

Shapes: T residuals [R, N, D]; R rows, N image tokens, D features. Errors are means over all elements, in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recache_ray.caching.mechanism import CachingMechanism


def magnitude_ratios(residuals: Sequence[Tensor]) -> Tensor:
    """MagCache's gamma [T] (arXiv 2506.09045): the mean over tokens of ``|r_t| / |r_(t-1)|``; 1 at step 0."""
    norms = torch.stack([residual.float().norm(dim=-1) for residual in residuals])
    ratios = (norms[1:] / norms[:-1]).flatten(1).mean(dim=1)
    return torch.cat([ratios.new_ones(1), ratios])


def reuse_errors(residuals: Sequence[Tensor]) -> Tensor:
    """SmoothCache's relative L1 errors [T, T] (arXiv 2411.10510): ``|r_t - r_s| / |r_t|`` at [s, t], 0 for t <= s."""
    errors = torch.zeros(len(residuals), len(residuals))
    for later, replaced in enumerate(residuals):
        magnitude = replaced.float().abs().mean()
        for earlier in range(later):
            errors[earlier, later] = (replaced.float() - residuals[earlier]).abs().mean() / magnitude
    return errors


def forecast_errors(residuals: Sequence[Tensor], mechanism: CachingMechanism) -> Tensor:
    """DPCache's errors [T, T, T] (arXiv 2602.22654): mean absolute error at [i, j, t] of the forecast of step t.

    The mechanism forecasts as in a generation whose last two computed steps are i < j < t; [0, 0, t] has step 0 alone.
    Other places are 0. The number of forecasts grows as T^3 / 6.
    """
    num_steps = len(residuals)
    errors = torch.zeros(num_steps, num_steps, num_steps)
    for first in range(num_steps):
        begun = mechanism.update(mechanism.reset(), first, residuals[first])
        newest = range(first + 1, num_steps)
        histories = [(step, mechanism.update(begun, step, residuals[step])) for step in newest]
        if first == 0:
            histories.insert(0, (0, begun))
        for anchor, history in histories:
            for step in range(anchor + 1, num_steps):
                difference = mechanism.predict(history, step).float() - residuals[step]
                errors[first, anchor, step] = difference.abs().mean()
    return errors
