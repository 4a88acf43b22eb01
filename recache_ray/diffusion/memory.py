"""Memory that a run is certain to need, before anything is loaded: weights and the cache of features.

Feature cache: image tokens x features x bytes x residuals a mechanism keeps x siblings x guidance branches. What
depends on kernels is left out, so this is a lower bound: activations, the autoencoder, text encoders while prompts
are encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.caching.footprint import Footprint
from recache_ray.diffusion.architecture import Architecture, Size
from recache_ray.diffusion.forward_cost import transformer_shape
from recache_ray.errors import BadInputError

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
GIB = 2**30


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes of one worker.

    Attributes:
        weights: of the transformer.
        residual: one residual of the block stack, [N, D] of one row.
        branches: guidance branches that keep a history each.
        footprint: what the mechanism keeps of each branch and sibling.
    """

    weights: int
    residual: int
    branches: int
    footprint: Footprint

    def held(self, siblings: int) -> int:
        """Feature cache between steps when all siblings differ."""
        return round(self.residual * siblings * self.branches * self.footprint.held)

    def peak(self, siblings: int) -> int:
        """Feature cache at most: one branch at a time is updated."""
        updated = self.footprint.peak + (self.branches - 1) * self.footprint.held
        return round(self.residual * siblings * updated)

    def total(self, siblings: int) -> int:
        """Weights and feature cache at most."""
        return self.weights + self.peak(siblings)

    def most_siblings(self, available: int) -> int:
        """The most siblings that fit; 0 if none does."""
        return max(0, (available - self.weights) // self.peak(1))


def memory_need(architecture: Architecture, size: Size, dtype: str, footprint: Footprint) -> MemoryNeed:
    """The need of a worker that runs this model.

    Raises:
        BadInputError: if the transformer is not known or the size does not fit it.
    """
    shape = transformer_shape(architecture, size)
    each = DTYPE_BYTES[dtype]
    return MemoryNeed(
        weights=shape.parameters * each,
        residual=shape.image_tokens * shape.width * each,
        branches=architecture.forwards_per_step,
        footprint=footprint,
    )


def check_fits(need: MemoryNeed, siblings: int, available: int, *, device: str, mechanism: str) -> None:
    """Refuse what cannot fit, with the remedy.

    Args:
        siblings: most in one pipeline call.
        available: free bytes of the device.
        device: what to call it.
        mechanism: what to call it.

    Raises:
        BadInputError: naming need, bound, and what to lower.
    """
    if need.total(siblings) <= available:
        return
    needed = f"{need.weights / GIB:.2f} GiB of weights"
    if need.weights > available:
        raise BadInputError(
            f"memory: the model has {needed}, {device} has {available / GIB:.2f} GiB free; use a device with more "
            "memory or model.dtype=bfloat16"
        )
    fits = need.most_siblings(available)
    lower = f"set runtime.max_batch={fits}" if fits else "make smaller pictures or take a device with more memory"
    raise BadInputError(
        f"memory: {needed} and {need.peak(siblings) / GIB:.2f} GiB of cached features ({mechanism}, "
        f"runtime.max_batch = {siblings}), {device} has {available / GIB:.2f} GiB free; {lower}, "
        "or lower mechanism.order, or choose mechanism=reuse"
    )
