"""Confidence intervals that treat prompts, not pictures, as the independent draws.

Shape suffixes: P prompts, R resamplings.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from recache_ray.seeding import derive_seed


def mean_interval(
    values: Sequence[float], clusters: Sequence[Hashable], *, samples: int, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values``, resampling whole clusters with replacement.

    The resampling depends on ``seed`` and the number of clusters only, so methods measured on the same prompts are
    resampled alike. A single cluster gives an interval of zero width.

    Args:
        values: one number per generation.
        clusters: the prompt of each value.
        samples: number of resamplings R.
        seed: makes the interval repeatable.
        confidence: share of the resampled means inside the interval.
    """
    order = {cluster: position for position, cluster in enumerate(dict.fromkeys(clusters))}
    member = np.array([order[cluster] for cluster in clusters])
    sums_P = np.bincount(member, weights=np.asarray(values, dtype=np.float64))
    counts_P = np.bincount(member)
    generator = np.random.default_rng(derive_seed("bootstrap", len(order), samples, seed))
    draw_RP = generator.integers(0, len(order), size=(samples, len(order)))
    means_R = sums_P[draw_RP].sum(axis=1) / counts_P[draw_RP].sum(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means_R, (tail, 1 - tail))
    return float(low), float(high)
