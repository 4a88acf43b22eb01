"""Every measured generation behind the frontier, kept so that methods can be compared prompt by prompt later."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.evaluation.measure import Measurements, Methods
from recache_ray.evaluation.record_file import RecordFile
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, RewardBreakdown


@dataclass(frozen=True, slots=True)
class Sample:
    """One generation of one method; field order is the column order of ``samples.parquet``.

    Attributes:
        schedule: how the schedule was chosen: ``policy`` or the name of a baseline, as in the frontier.
        mechanism: id of the caching mechanism, for example ``taylor1``.
        num_steps: T.
        budget: k asked for.
        prompt_index: the prompt's position in its split; the unit that paired statistics resample.
        noise_seed: seed of the starting noise.
        compute_steps: the steps that were computed, ascending.
        lpips: distance to the uncached reference; lower is better.
        psnr: in dB; infinite for identical pictures.
        ssim: 1 is identical.
        quality: of the quality model; None without one.
        reward: the reward.
    """

    schedule: str
    mechanism: str
    num_steps: int
    budget: int
    prompt_index: int
    noise_seed: int
    compute_steps: tuple[int, ...]
    lpips: float
    psnr: float | None
    ssim: float | None
    quality: float | None
    reward: float


SAMPLES = RecordFile(Sample, "samples")
"""Reads and writes ``samples.parquet``."""


def samples_of(measurements: Measurements, methods: Methods, mechanism: MechanismSpec) -> tuple[Sample, ...]:
    """One record per method, budget, prompt and schedule; methods and prompts in the order given."""
    return tuple(
        sample_of(name, mechanism, budget, request, schedule, measurements.breakdowns[request, schedule])
        for name, by_budget in methods.items()
        for budget in sorted(by_budget)
        for request in measurements.requests
        for schedule in by_budget[budget]
    )


def sample_of(
    name: str,
    mechanism: MechanismSpec,
    budget: int,
    request: GenerationRequest,
    schedule: Schedule,
    breakdown: RewardBreakdown,
) -> Sample:
    """The record of one generation of the method called ``name``."""
    return Sample(
        schedule=name,
        mechanism=mechanism.id,
        num_steps=schedule.num_steps,
        budget=budget,
        prompt_index=request.prompt.index,
        noise_seed=request.noise_seed,
        compute_steps=schedule.compute_steps,
        lpips=breakdown.metrics["lpips"],
        psnr=breakdown.metrics.get("psnr"),
        ssim=breakdown.metrics.get("ssim"),
        quality=breakdown.metrics.get("quality"),
        reward=breakdown.reward,
    )
