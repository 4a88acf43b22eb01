"""FreqCa (arXiv 2510.08669): coarse structure is reused, detail is forecast.

Shapes: B batch rows, N image tokens on an S x S grid, D features.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.newton import Newton
from recache_ray.errors import BadInputError

LOW_BAND = 0.25
"""Share of the spatial frequencies along each side that counts as coarse; the paper's is not known, this is ours."""


class FreqCa(Newton):
    """Extrapolates the fine part of the residual by a polynomial in the step and holds the coarse part still.

    The parts are split by a discrete cosine transform over the token grid: coarse are the lowest
    :data:`LOW_BAND` of the frequencies along both sides. The paper interpolates the fine part in Hermite polynomials;
    through as many computed steps as there are coefficients that is Newton's polynomial, whatever the basis. It
    forecasts the stack's output, here it is the residual, which differs by what enters the stack.

    Exact for residuals whose coarse part does not change and whose fine part is a polynomial of degree ``order``. One
    computed step gives reuse.

    Args:
        order: degree of the fine part; the paper's is 2.
    """

    def __init__(self, order: int = 2) -> None:
        super().__init__(order)
        self.id = f"freqca{order}"

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """The newest residual whole, and the divided differences of its fine part; each [B, N, D].

        Raises:
            BadInputError: if the tokens are not those of one square picture.
        """
        steps = (step, *history.steps[: self.order])
        factors = [feature]
        for older_step, older in zip(steps[1:], history.factors, strict=False):
            change = factors[-1] - older
            # the first difference is taken of whole residuals, the higher ones of fine parts
            fine = _fine(change) if len(factors) == 1 else change
            factors.append(fine.div_(step - older_step))
        return FeatureHistory(steps=steps, factors=tuple(factors))


def _fine(tokens: Tensor) -> Tensor:
    """Tokens [B, N, D] without their lowest spatial frequencies."""
    side = math.isqrt(tokens.shape[1])
    if side * side != tokens.shape[1]:
        raise BadInputError(
            f"mechanism freqca: {tokens.shape[1]} image tokens are no square grid; generate one square picture at a "
            "time (model.height = model.width) or choose another mechanism"
        )
    smooth = _smoothing(side, tokens.dtype, tokens.device)
    grid = tokens.unflatten(1, (side, side))
    coarse = torch.einsum("xw,bywd->byxd", smooth, torch.einsum("yv,bvwd->bywd", smooth, grid))
    return tokens - coarse.flatten(1, 2)


@lru_cache(maxsize=8)
def _smoothing(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Projection [S, S] onto the lowest cosines of the orthonormal DCT-II."""
    place = torch.arange(side, dtype=torch.float64)
    kept = torch.arange(math.ceil(LOW_BAND * side), dtype=torch.float64)
    cosines = torch.cos(math.pi / side * kept[:, None] * (place + 0.5))
    cosines /= cosines.norm(dim=1, keepdim=True)
    return (cosines.T @ cosines).to(device=device, dtype=dtype)
