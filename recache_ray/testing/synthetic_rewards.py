"""Rewards with a known best schedule, to learn from without a model.

Shapes: M schedules, P prompts, C modes of a mixture, D state size.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from recache_ray.schedules import Schedule
from recache_ray.testing.mixture_flow import MixtureFlow
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

    The model is a :class:`~recache_ray.testing.mixture_flow.MixtureFlow` whose costs, at the power 0.6, put evenly
    spaced schedules 3 to 10 times above the best, as measured with LPIPS on real models.
    """

    def __init__(
        self, budgets: tuple[int, ...], order: int, seed: int, num_steps: int = 16, num_prompts: int = 4
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        size, modes = 48, 8

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        spread = normal(num_prompts, modes, size)
        means_PCD = normal(num_prompts, 2, size).repeat_interleave(modes // 2, 1) + 0.6 * spread
        noise_PD = normal(num_prompts, size)
        flow = MixtureFlow(means_PCD, noise_PD, normal(size, 64) / math.sqrt(size), num_steps, order, power=0.6)
        self.num_steps, self.budgets = num_steps, budgets
        self.schedules = [
            Schedule(num_steps, (0, *steps))
            for budget in budgets
            for steps in itertools.combinations(range(1, num_steps), budget - 1)
        ]
        self._index = {schedule: index for index, schedule in enumerate(self.schedules)}
        by_prompt = [flow.costs([prompt] * len(self.schedules), self.schedules) for prompt in range(num_prompts)]
        self.cost_MP = torch.tensor(by_prompt, dtype=torch.float64).T

    def cost(self, prompt: int, schedule: Schedule) -> float:
        """Error of one schedule on one prompt."""
        return float(self.cost_MP[self._index[schedule], prompt])

    def regret(self, table: dict[int, Schedule]) -> float:
        """Mean cost over prompts relative to the best schedule's, as geometric mean over budgets."""
        mean_M = self.cost_MP.mean(1).log()
        budget_M = torch.tensor([schedule.budget for schedule in self.schedules])
        logs = [float(mean_M[self._index[table[budget]]] - mean_M[budget_M == budget].min()) for budget in self.budgets]
        return math.exp(sum(logs) / len(logs))
