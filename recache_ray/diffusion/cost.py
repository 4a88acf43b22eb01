"""What a computed and a cached step cost, measured on the model itself at its real shapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from recache_ray.caching.cache_dit import Executor
from recache_ray.diffusion.adapter import ModelAdapter
from recache_ray.diffusion.run_schedules import run_schedules
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


@dataclass(frozen=True, slots=True)
class StepCost:
    """Cost of one denoising step for one sibling, in transformer calls alone.

    Attributes:
        computed_flops: of a computed step: matrix products, convolutions and attention.
        cached_flops: the same of a cached step.
        computed_s: seconds of a computed step, median.
        cached_s: seconds of a cached step, median.
    """

    computed_flops: float
    cached_flops: float
    computed_s: float
    cached_s: float

    @property
    def cached_share(self) -> float:
        """Seconds of a cached step as a share of a computed one."""
        return self.cached_s / self.computed_s

    def flops(self, schedule: Schedule) -> float:
        """FLOPs of a whole generation."""
        return schedule.budget * self.computed_flops + (schedule.num_steps - schedule.budget) * self.cached_flops

    def seconds(self, schedule: Schedule) -> float:
        """Seconds of a whole generation, text encoding and decoding excluded."""
        return schedule.budget * self.computed_s + (schedule.num_steps - schedule.budget) * self.cached_s

    def flops_ratio(self, schedule: Schedule) -> float:
        """FLOPs of the uncached generation over those of this schedule; 1 for the full one."""
        return self.flops(Schedule.full(schedule.num_steps)) / self.flops(schedule)


def measure_step_cost(
    adapter: ModelAdapter, embeddings: Mapping[str, Tensor], mechanism: Executor, *, repeats: int = 1
) -> StepCost:
    """Run generations with the first half of the steps computed and read the cost of each transformer call.

    FLOPs and seconds come from separate generations, since counting FLOPs slows every operation down. Half of the
    steps are computed, so that forecasts of any order run at full order.

    Args:
        adapter: the model; its T must be at least 2.
        embeddings: of any prompt.
        mechanism: what cached steps do.
        repeats: generations timed, after one that warms up.

    Raises:
        BadInputError: if the model has a single step, which leaves none to cache.
    """
    num_steps = adapter.spec.num_steps
    if num_steps < 2:
        raise BadInputError(f"model.num_steps = {num_steps}: measuring a cached step needs at least 2")
    schedule = Schedule(num_steps, tuple(range((num_steps + 1) // 2)))
    counter = FlopCounterMode(display=False)
    with counter, transformer_readings(adapter.transformer, counter.get_total_flops) as flops:
        run_schedules(adapter, embeddings, 0, [schedule], mechanism)
    with transformer_readings(adapter.transformer, _clock(adapter.spec.device)) as seconds:
        for _ in range(repeats):
            run_schedules(adapter, embeddings, 0, [schedule], mechanism)
    computed_flops, cached_flops = split_steps(flops, schedule, adapter.spec.forwards_per_step)
    computed_s, cached_s = split_steps(seconds, schedule, adapter.spec.forwards_per_step)
    return StepCost(computed_flops, cached_flops, computed_s, cached_s)


@contextmanager
def transformer_readings(transformer: nn.Module, read: Callable[[], float]) -> Iterator[list[float]]:
    """Collect how much ``read()`` grows during each call of ``transformer``."""
    grown: list[float] = []
    started: list[float] = []

    def before(module: nn.Module, args: Any) -> None:
        started.append(read())

    def after(module: nn.Module, args: Any, output: Any) -> None:
        grown.append(read() - started.pop())

    handles = (transformer.register_forward_pre_hook(before), transformer.register_forward_hook(after))
    try:
        yield grown
    finally:
        for handle in handles:
            handle.remove()


def split_steps(calls: list[float], schedule: Schedule, forwards_per_step: int) -> tuple[float, float]:
    """Median cost of computed and of cached steps over whole generations; 0 where there are none of a kind."""
    steps = [sum(calls[start : start + forwards_per_step]) for start in range(0, len(calls), forwards_per_step)]
    mask = schedule.compute_mask * (len(steps) // schedule.num_steps)
    computed = [cost for cost, computes in zip(steps, mask, strict=True) if computes]
    cached = [cost for cost, computes in zip(steps, mask, strict=True) if not computes]
    return median(computed) if computed else 0.0, median(cached) if cached else 0.0


def _clock(device: str) -> Callable[[], float]:
    def now() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    return now
