"""Rewards with a known best schedule, to learn from without a model.

Shapes: M schedules, T steps, D state size, P prompts, C modes of a mixture.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, RewardBreakdown


class SegmentReward:
    """Minus the sum of a cost per cached stretch; dynamic programming knows the optimum of every budget.

    cost(i, j) = w(i) (j - i - 1)^1.6 for computed step i followed by j, with random positive w; each prompt scales
    all costs by its own factor, which leaves the best schedule as it is.
    """

    def __init__(self, num_steps: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.num_steps = num_steps
        weights = 0.2 + 2 * torch.rand(num_steps, generator=generator, dtype=torch.float64) ** 2
        self._weights: list[float] = weights.tolist()

    def cost(self, schedule: Schedule) -> float:
        """Sum of the segments' costs."""
        steps = (*schedule.compute_steps, self.num_steps)
        return sum(self._segment(i, j) for i, j in itertools.pairwise(steps))

    def __call__(self, request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
        cost = self.cost(schedule) * (1 + 0.3 * (request.prompt.index % 5)) + 0.01
        return RewardBreakdown(-math.log(cost), {"lpips": cost})

    def optimum(self, budget: int) -> float:
        """The lowest cost of any schedule of this budget."""
        best = [self._segment(i, self.num_steps) for i in range(self.num_steps)]
        for _ in range(budget - 1):
            best = [
                min((self._segment(i, j) + best[j] for j in range(i + 1, self.num_steps)), default=math.inf)
                for i in range(self.num_steps)
            ]
        return best[0]

    def _segment(self, i: int, j: int) -> float:
        return self._weights[i] * (j - i - 1) ** 1.6


class FlowTable:
    """Every schedule's error on a small flow-matching model with a closed form, cached by forecasts of order 0, 1 or 2.

    The model is the exact velocity of a Gaussian mixture, one mixture per prompt, integrated by Euler steps from shared
    noise; a cached step extrapolates the velocities of earlier computed steps (divided differences). The cost of
    a schedule is the squared distance of random features of the final state to the uncached ones, power 0.6, which
    puts evenly spaced schedules 3 to 10 times above the best, as measured with LPIPS on real models.
    """

    def __init__(
        self, budgets: tuple[int, ...], order: int, seed: int, num_steps: int = 16, num_prompts: int = 4
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        size, modes = 48, 8

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        spread = normal(num_prompts, modes, size)
        self._means_PCD = normal(num_prompts, 2, size).repeat_interleave(modes // 2, 1) + 0.6 * spread
        self._noise_PD = normal(num_prompts, size)
        self._features = normal(size, 64) / math.sqrt(size)
        times = torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)
        self._times: list[float] = (1.5 * times / (1 + 0.5 * times)).tolist()
        self.num_steps, self.budgets, self._order = num_steps, budgets, order
        self.schedules = [
            Schedule(num_steps, (0, *steps))
            for budget in budgets
            for steps in itertools.combinations(range(1, num_steps), budget - 1)
        ]
        self._index = {schedule: index for index, schedule in enumerate(self.schedules)}
        masks_MT = torch.tensor([schedule.compute_mask for schedule in self.schedules])
        full_MT = torch.ones(1, num_steps, dtype=torch.bool)
        errors = []
        for prompt in range(num_prompts):
            reference = self._run(full_MT, prompt)
            errors.append(((self._run(masks_MT, prompt) - reference) ** 2).sum(-1))
        self.cost_MP = (torch.stack(errors, 1) + 1e-6) ** 0.6

    def cost(self, prompt: int, schedule: Schedule) -> float:
        """Error of one schedule on one prompt."""
        return float(self.cost_MP[self._index[schedule], prompt])

    def regret(self, table: dict[int, Schedule]) -> float:
        """Mean cost over prompts relative to the best schedule's, as geometric mean over budgets."""
        mean_M = self.cost_MP.mean(1).log()
        budget_M = torch.tensor([schedule.budget for schedule in self.schedules])
        logs = [float(mean_M[self._index[table[budget]]] - mean_M[budget_M == budget].min()) for budget in self.budgets]
        return math.exp(sum(logs) / len(logs))

    def _velocity(self, state_MD: Tensor, time: float, prompt: int) -> Tensor:
        means_CD, width = self._means_PCD[prompt], 0.15**2
        variance = (1 - time) ** 2 * width + time**2
        squared_MC = torch.cdist(state_MD, (1 - time) * means_CD) ** 2
        mean_MD = torch.softmax(-squared_MC / (2 * variance), -1) @ means_CD
        clean_MD = mean_MD + (1 - time) * width / variance * (state_MD - (1 - time) * mean_MD)
        return (state_MD - clean_MD) / time

    def _run(self, masks_MT: Tensor, prompt: int) -> Tensor:
        state_MD = self._noise_PD[prompt].expand(len(masks_MT), -1).clone()
        past = [torch.zeros_like(state_MD) for _ in range(3)]
        steps = [torch.full((len(masks_MT), 1), -1.0, dtype=torch.float64) for _ in range(3)]
        for step in range(self.num_steps):
            time, width = self._times[step], self._times[step + 1] - self._times[step]
            fresh_M1 = masks_MT[:, step : step + 1]
            velocity_MD = torch.where(
                fresh_M1, self._velocity(state_MD, time, prompt), self._forecast(past, steps, step)
            )
            for older in (2, 1):
                past[older] = torch.where(fresh_M1, past[older - 1], past[older])
                steps[older] = torch.where(fresh_M1, steps[older - 1], steps[older])
            past[0] = torch.where(fresh_M1, velocity_MD, past[0])
            steps[0] = torch.where(fresh_M1, float(step), steps[0])
            state_MD = state_MD + width * velocity_MD
        features = torch.tanh(2 * state_MD @ self._features)
        return features / features.norm(dim=-1, keepdim=True)

    def _forecast(self, past: list[Tensor], steps: list[Tensor], step: int) -> Tensor:
        forecast = past[0]
        if self._order >= 1:
            slope = (past[0] - past[1]) / (steps[0] - steps[1]).clamp(min=1)
            forecast = torch.where(steps[1] >= 0, forecast + slope * (step - steps[0]), forecast)
        if self._order >= 2:
            older = (past[1] - past[2]) / (steps[1] - steps[2]).clamp(min=1)
            bend = (slope - older) / (steps[0] - steps[2]).clamp(min=1)
            forecast = torch.where(steps[2] >= 0, forecast + bend * (step - steps[0]) * (step - steps[1]), forecast)
        return forecast
