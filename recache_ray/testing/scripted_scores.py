"""Closed-form stand-ins for a model's answers: what a schedule scores, looks like and costs."""

from __future__ import annotations

import io
import math
from itertools import pairwise

from PIL import Image

from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, Prompt, RewardBreakdown


def held_out_requests(count: int) -> list[GenerationRequest]:
    """``count`` test prompts with one noise seed each."""
    return [GenerationRequest(Prompt(i, f"prompt {i}", "test"), noise_seed=i) for i in range(count)]


def gap_score(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    """LPIPS grows with the squared gaps between computed steps; prompts differ; the full schedule is exact."""
    gaps = sum((later - earlier - 1) ** 2 for earlier, later in pairwise((*schedule.compute_steps, schedule.num_steps)))
    lpips = gaps / schedule.num_steps**2 * (1 + request.prompt.index % 4)
    psnr = math.inf if lpips == 0 else -10 * math.log10(lpips)
    return RewardBreakdown(reward=-lpips, metrics={"lpips": lpips, "psnr": psnr, "ssim": 1 - lpips})


def flat_picture(request: GenerationRequest, schedule: Schedule) -> bytes:
    """PNG of one colour: ten times the budget in red, ten times the prompt's index in green."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (schedule.budget * 10, request.prompt.index * 10, 0)).save(stream, "PNG")
    return stream.getvalue()


class TenthCost:
    """A computed step takes half a second, a cached one a tenth of it in seconds and FLOPs."""

    def seconds(self, schedule: Schedule) -> float:
        return 0.5 * self._computed(schedule)

    def flops_ratio(self, schedule: Schedule) -> float:
        return schedule.num_steps / self._computed(schedule)

    def _computed(self, schedule: Schedule) -> float:
        return schedule.budget + 0.1 * (schedule.num_steps - schedule.budget)
