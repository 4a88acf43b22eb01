"""What a mechanism keeps and runs: residuals per prefix of computed steps, and whether a probe.

Shapes: B batch rows, N image tokens, D features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.two_anchor import GatedMechanism, TwoAnchor

_STEPS = (0, 1, 3, 6, 10, 15, 21)
_SHAPE_BND = (1, 8, 16)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Sizes in residuals of the block stack, [N, D] of one row in the model's dtype.

    Attributes:
        held: kept between steps.
        peak: most while a history grows: the one it grows from lives until the new one is there.
        probes: whether the first block runs at a cached step too.
    """

    held: float
    peak: float
    probes: bool


def footprint(mechanism: GatedMechanism) -> Footprint:
    """Measure a mechanism by having it remember small residuals until its history grows no further."""
    histories = [mechanism.reset()]
    for step in _STEPS:
        feature = torch.zeros(_SHAPE_BND)
        if isinstance(mechanism, TwoAnchor):
            histories.append(mechanism.update(histories[-1], step, feature, torch.zeros(_SHAPE_BND)))
        else:
            histories.append(mechanism.update(histories[-1], step, feature))
    unit = torch.zeros(_SHAPE_BND).nbytes
    return Footprint(
        held=max(distinct_bytes(_tensors(history)) for history in histories) / unit,
        peak=max(distinct_bytes((*_tensors(before), *_tensors(after))) for before, after in pairwise(histories)) / unit,
        probes=isinstance(mechanism, TwoAnchor),
    )


def distinct_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind these tensors, each counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def _tensors(history: FeatureHistory) -> tuple[Tensor, ...]:
    return history.factors
