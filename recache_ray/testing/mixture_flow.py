"""A flow-matching model with a closed form, cached as real ones are: no weights, thousands of generations a second.

The model is the exact velocity of a Gaussian mixture, one mixture per prompt, integrated by Euler steps from noise of
its own; a cached step extrapolates the velocities of earlier computed steps (divided differences). A state that caching
pushes from one mode to another ends as another picture, so a few prompts cost a hundred times what the others do.

Shapes: N generations, T steps, D state size, P prompts, C modes of a mixture, F features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from recache_ray.schedules import Schedule

_WIDTH = 0.15
_AT_ONCE = 4000
_LEAST_COST = 1e-6


class MixtureFlow:
    """Costs of schedules on the prompts of one model.

    The cost is the squared distance of random features of the final state to the uncached ones, to a power.

    Args:
        means_PCD: of the modes.
        noise_PD: where generations start.
        features_DF: random directions whose saturated projections are compared.
        num_steps: T.
        order: of the forecast, 0 to 2.
        power: of the squared distance; LPIPS grows about so.
        widths_P: standard deviation of the modes; without, the same for all prompts.
    """

    def __init__(
        self,
        means_PCD: Tensor,
        noise_PD: Tensor,
        features_DF: Tensor,
        num_steps: int,
        order: int,
        power: float,
        widths_P: Tensor | None = None,
    ) -> None:
        self.num_steps, self.num_prompts = num_steps, len(means_PCD)
        self._means_PCD, self._noise_PD, self._features_DF = means_PCD, noise_PD, features_DF
        self._order, self._power = order, power
        self._widths_P = torch.full_like(noise_PD[:, 0], _WIDTH) if widths_P is None else widths_P
        times = torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)
        self._times: list[float] = (1.5 * times / (1 + 0.5 * times)).tolist()
        every_P = torch.arange(self.num_prompts)
        self._uncached_PF = self._run(torch.ones(self.num_prompts, num_steps, dtype=torch.bool), every_P)

    @classmethod
    def varied(cls, num_prompts: int, num_steps: int, order: int, seed: int) -> MixtureFlow:
        """Prompts of very different difficulty, so that few decide a mean.

        With evenly spaced schedules the hardest prompt in a hundred costs 10 to 30 times what the typical one does and
        a hundredth of the prompts makes a fifth of the mean, near what LPIPS does on the ``shapes`` model.
        """
        generator = torch.Generator().manual_seed(seed)
        size, modes, spread = 8, 8, 1.2

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        def scale(*shape: int) -> Tensor:
            return torch.exp(spread * normal(*shape))

        pairs_PCD = scale(num_prompts, 1, 1) * normal(num_prompts, 2, size)
        means_PCD = pairs_PCD.repeat_interleave(modes // 2, 1)
        means_PCD = means_PCD + 0.6 * scale(num_prompts, 1, 1) * normal(num_prompts, modes, size)
        features_DF = normal(size, 64) / math.sqrt(size)
        noise_PD, widths_P = normal(num_prompts, size), _WIDTH * scale(num_prompts)
        return cls(means_PCD, noise_PD, features_DF, num_steps, order, power=0.4, widths_P=widths_P)

    def costs(self, prompts: Sequence[int], schedules: Sequence[Schedule]) -> list[float]:
        """Cost of every schedule on the prompt beside it [N]."""
        found: list[float] = []
        for first in range(0, len(prompts), _AT_ONCE):
            prompts_N = torch.tensor(prompts[first : first + _AT_ONCE])
            masks_NT = torch.tensor([schedule.compute_mask for schedule in schedules[first : first + _AT_ONCE]])
            squared_N = ((self._run(masks_NT, prompts_N) - self._uncached_PF[prompts_N]) ** 2).sum(-1)
            found += ((squared_N + _LEAST_COST) ** self._power).tolist()
        return found

    def mean_cost(self, schedule: Schedule, prompts: Sequence[int]) -> float:
        """Mean cost of a schedule over prompts."""
        return math.fsum(self.costs(prompts, [schedule] * len(prompts))) / len(prompts)

    def _velocity(self, state_ND: Tensor, time: float, prompts_N: Tensor) -> Tensor:
        means_NCD, mode_variance_N1 = self._means_PCD[prompts_N], self._widths_P[prompts_N, None] ** 2
        variance_N1 = (1 - time) ** 2 * mode_variance_N1 + time**2
        squared_NC = ((state_ND[:, None] - (1 - time) * means_NCD) ** 2).sum(-1)
        share_NC = torch.softmax(-squared_NC / (2 * variance_N1), -1)
        mean_ND = (share_NC[:, :, None] * means_NCD).sum(1)
        clean_ND = mean_ND + (1 - time) * mode_variance_N1 / variance_N1 * (state_ND - (1 - time) * mean_ND)
        return (state_ND - clean_ND) / time

    def _run(self, masks_NT: Tensor, prompts_N: Tensor) -> Tensor:
        """Features of the final states [N, F]."""
        state_ND = self._noise_PD[prompts_N]
        past = [torch.zeros_like(state_ND) for _ in range(3)]
        steps = [torch.full((len(masks_NT), 1), -1.0, dtype=torch.float64) for _ in range(3)]
        for step in range(self.num_steps):
            time, width = self._times[step], self._times[step + 1] - self._times[step]
            fresh_N1 = masks_NT[:, step : step + 1]
            velocity_ND = torch.where(
                fresh_N1, self._velocity(state_ND, time, prompts_N), self._forecast(past, steps, step)
            )
            for older in (2, 1):
                past[older] = torch.where(fresh_N1, past[older - 1], past[older])
                steps[older] = torch.where(fresh_N1, steps[older - 1], steps[older])
            past[0] = torch.where(fresh_N1, velocity_ND, past[0])
            steps[0] = torch.where(fresh_N1, float(step), steps[0])
            state_ND = state_ND + width * velocity_ND
        features_NF = torch.tanh(2 * state_ND @ self._features_DF)
        return features_NF / features_NF.norm(dim=-1, keepdim=True)

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
