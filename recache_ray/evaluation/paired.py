"""How much lower one method's LPIPS is than another's, judged on the same prompts.

Prompts differ far more in LPIPS than methods do. Both methods see the same resampled prompts, so this difference
cancels. Percentile bootstrap of a ratio of paired means: Efron and Tibshirani, An Introduction to the Bootstrap (1993).

Shape suffixes: P prompts, R resamplings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import LPIPS_FLOOR
from recache_ray.evaluation.samples import Sample
from recache_ray.seeding import derive_seed

PromptMeans = Mapping[int, float]
"""Prompt index to mean LPIPS over the generations of one method at one budget."""


@dataclass(frozen=True, slots=True)
class RatioInterval:
    """A ratio of mean LPIPS and its percentile bootstrap interval over ``num_prompts`` prompts; below 1 is better."""

    ratio: float
    low: float
    high: float
    num_prompts: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 1."""
        return not self.low <= 1.0 <= self.high


def prompt_means(samples: Iterable[Sample]) -> dict[int, float]:
    """Mean LPIPS of every prompt over its noise seeds and schedules."""
    grouped: dict[int, list[float]] = {}
    for sample in samples:
        grouped.setdefault(sample.prompt_index, []).append(sample.lpips)
    return {prompt: float(np.mean(values)) for prompt, values in grouped.items()}


def paired_ratio(
    ours: PromptMeans, rival: PromptMeans, *, samples: int, seed: int, confidence: float = 0.95
) -> RatioInterval:
    """Mean LPIPS of ``ours`` over that of ``rival``, with the interval of :func:`paired_geometric_mean`.

    Raises:
        BadInputError: as :func:`paired_geometric_mean`.
    """
    return paired_geometric_mean([(ours, rival)], samples=samples, seed=seed, confidence=confidence)


def typical_ratio(pairs: Sequence[tuple[PromptMeans, PromptMeans]]) -> float:
    """Geometric mean of our LPIPS over the rival's, over prompts and over ``pairs`` such as budgets.

    Every prompt counts the same, where in a ratio of means a few hard ones decide. An LPIPS below ``LPIPS_FLOOR``
    counts as the floor.
    """
    logs = [
        np.log(max(ours[prompt], LPIPS_FLOOR)) - np.log(max(rival[prompt], LPIPS_FLOOR))
        for ours, rival in pairs
        for prompt in ours
    ]
    return float(np.exp(np.mean(logs)))


def paired_geometric_mean(
    pairs: Sequence[tuple[PromptMeans, PromptMeans]], *, samples: int, seed: int, confidence: float = 0.95
) -> RatioInterval:
    """Geometric mean, over ``pairs`` such as budgets, of the ratios of mean LPIPS; one resampling serves all pairs.

    A mean below ``LPIPS_FLOOR`` counts as the floor, so that two exact methods have the ratio 1.

    Args:
        pairs: per pair, what our method and the rival reach on each prompt.
        samples: number of resamplings R.
        seed: makes the interval repeatable; it depends on this and the number of prompts only.
        confidence: share of the resampled ratios inside the interval.

    Raises:
        BadInputError: if the prompts are not the same throughout, or fewer than two.
    """
    prompts = sorted(pairs[0][0]) if pairs else []
    for position, (ours, rival) in enumerate(pairs):
        for measured in (ours, rival):
            if sorted(measured) != prompts:
                raise BadInputError(
                    f"paired comparison {position}: measured on {len(measured)} prompts that are not the "
                    f"{len(prompts)} of the first; evaluate both methods on the same split: recache evaluate"
                )
    if len(prompts) < 2:
        raise BadInputError(
            f"paired comparison: {len(prompts)} prompt, must be at least 2 for an interval; raise prompts.num_test"
        )
    generator = np.random.default_rng(derive_seed("paired bootstrap", len(prompts), samples, seed))
    draw_RP = generator.integers(0, len(prompts), size=(samples, len(prompts)))
    log_ratio, log_ratio_R = 0.0, np.zeros(samples)
    for ours, rival in pairs:
        ours_P, rival_P = (np.array([measured[prompt] for prompt in prompts]) for measured in (ours, rival))
        log_ratio += (_log_mean(ours_P) - _log_mean(rival_P)) / len(pairs)
        log_ratio_R += (_log_mean(ours_P[draw_RP]) - _log_mean(rival_P[draw_RP])) / len(pairs)
    tail = (1 - confidence) / 2
    low, high = np.exp(np.quantile(log_ratio_R, (tail, 1 - tail)))
    return RatioInterval(float(np.exp(log_ratio)), float(low), float(high), len(prompts))


def _log_mean(values: np.ndarray) -> np.ndarray:
    """Log of the mean over the last axis, the prompts."""
    return np.log(np.maximum(values.mean(axis=-1), LPIPS_FLOOR))
