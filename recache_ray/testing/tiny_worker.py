"""A rollout worker around the tiny FLUX pipeline: everything real except the reward, which needs no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recache_ray.references.store import ReferenceStore
from recache_ray.rewards.scorer import Scorer
from recache_ray.rollouts.worker import RolloutWorker
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.types import RewardBreakdown

NUM_STEPS = 8


class DifferenceScorer(Scorer):
    """Mean absolute difference in place of LPIPS, whose networks want larger pictures than 16 x 16."""

    def __init__(self) -> None:
        self.calls = 0

    def score(
        self,
        images: NDArray[np.uint8],
        reference_image: NDArray[np.uint8],
        prompt: str,
        all_metrics: bool = False,
    ) -> list[RewardBreakdown]:
        self.calls += 1
        differences = np.abs(images.astype(np.float64) - reference_image).mean(axis=(1, 2, 3, 4)) / 255
        extra = {"psnr": 1.0} if all_metrics else {}
        return [RewardBreakdown(-float(each), {"lpips": float(each), **extra}) for each in differences]


def build_tiny_worker(folder: str, name: str, max_batch: int = 4) -> RolloutWorker:
    """The factory that pools are given: ``functools.partial(build_tiny_worker, folder)``, the folder of the store."""
    adapter = tiny_adapter(NUM_STEPS)
    return RolloutWorker(adapter, ReferenceStore.open(folder, adapter.identity()), DifferenceScorer(), max_batch, name)
