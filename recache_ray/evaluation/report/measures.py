"""The metrics a curve can show, and every method's mean and interval in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from recache_ray.evaluation.bootstrap import mean_interval
from recache_ray.evaluation.frontier import LPIPS_FLOOR, PSNR_CAP_DB
from recache_ray.evaluation.report.inputs import Method, ReportInputs
from recache_ray.evaluation.report.scales import Scale, linear, logarithmic, toward_one
from recache_ray.evaluation.samples import Sample


@dataclass(frozen=True)
class Measure:
    """A metric of the samples and how to draw it.

    Attributes:
        key: the column of the samples.
        name: for people.
        direction: which way is better, and the unit.
        scale: makes the vertical axis.
        limit: brings a value into what the scale can show.
        shown: format of a value; LPIPS spans four orders of magnitude over the budgets, so it has significant digits.
    """

    key: str
    name: str
    direction: str
    scale: Callable[[float, float, float, float], Scale]
    limit: Callable[[float], float] = lambda value: value
    shown: str = ".4f"


MEASURES = (
    Measure("lpips", "LPIPS", "lower is better, log scale", logarithmic, lambda value: max(value, LPIPS_FLOOR), "#.3g"),
    Measure("psnr", "PSNR", "dB, higher is better", linear, lambda value: min(value, PSNR_CAP_DB), ".2f"),
    Measure("ssim", "SSIM", "higher is better, log scale of 1 - SSIM", toward_one, lambda value: min(value, 1 - 1e-6)),
    Measure("quality", "Quality", "score of the quality model, higher is better", linear),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One method at one budget: where it lies on the compute axis, the mean and its 95% interval over prompts."""

    budget: int
    computed_steps: float
    mean: float
    low: float
    high: float


def measured(inputs: ReportInputs) -> tuple[Measure, ...]:
    """The metrics that every sample has."""
    return tuple(m for m in MEASURES if all(getattr(sample, m.key) is not None for sample in inputs.samples))


def curve(inputs: ReportInputs, method: Method, measure: Measure) -> tuple[Point, ...]:
    """The points of one method, budgets ascending; the mean is that of the frontier."""
    points = []
    for (of, budget), samples in sorted(inputs.by_point.items()):
        row = inputs.row(method, budget)
        if of == method and row is not None:
            values = [_value(sample, measure) for sample in samples]
            prompts = [sample.prompt_index for sample in samples]
            low, high = mean_interval(values, prompts, samples=inputs.bootstrap_samples, seed=inputs.seed)
            points.append(Point(budget, row.computed_steps_mean, math.fsum(values) / len(values), low, high))
    return tuple(points)


def _value(sample: Sample, measure: Measure) -> float:
    value = float(getattr(sample, measure.key))
    return min(value, PSNR_CAP_DB) if measure.key == "psnr" else value
