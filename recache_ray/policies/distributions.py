"""What every distribution over schedules can do: at one budget, and batched over budgets.

Sizes: K budgets, T denoising steps, M schedules. A schedule of budget k has exactly k computed steps, step 0 always
among them.
Values are float64; gradients flow to the scores through ``log_prob`` and ``entropy`` only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


class SubsetDistribution(Protocol):
    """A distribution over the schedules of one budget."""

    @property
    def budget(self) -> int:
        """k, the number of computed steps of every schedule."""
        ...

    def sample(self, num: int, generator: torch.Generator) -> list[Schedule]:
        """Draw ``num`` independent schedules; a pure function of the scores and the generator's state."""
        ...

    def log_prob(self, schedules: Sequence[Schedule]) -> Tensor:
        """Natural-log probabilities [M], differentiable."""
        ...

    def entropy(self) -> Tensor:
        """Entropy in nats [], differentiable."""
        ...

    def inclusion(self) -> Tensor:
        """Probability that each step is computed [T]; sums to k."""
        ...

    def mode(self) -> Schedule:
        """The most probable schedule."""
        ...


class DistributionBatch(ABC):
    """The distributions of K budgets over the same T steps, evaluated together.

    Attributes:
        num_steps: T.
        budgets: distinct budgets, ascending; the order of every leading K dimension.
    """

    def __init__(self, num_steps: int, budgets: Sequence[int]) -> None:
        self.num_steps = num_steps
        self.budgets = tuple(budgets)
        self._row = {budget: row for row, budget in enumerate(self.budgets)}
        if not self.budgets or any(later <= earlier for earlier, later in pairwise(budgets)):
            raise BadInputError(f"budgets {list(budgets)}: must be distinct and ascending, at least one")
        if self.budgets[0] < 1 or self.budgets[-1] > num_steps:
            raise BadInputError(f"budgets {list(budgets)}: must lie between 1 and num_steps = {num_steps}")

    @abstractmethod
    def log_prob(self, schedules: Sequence[Schedule]) -> Tensor:
        """Log-probabilities [M], each schedule under the distribution of its own budget; differentiable.

        Raises:
            BadInputError: if a schedule has another T, or a budget this batch does not hold.
        """

    @abstractmethod
    def entropy(self) -> Tensor:
        """Entropies in nats [K], differentiable."""

    @abstractmethod
    def inclusion(self) -> Tensor:
        """Probability that each step is computed [K, T]; row sums are the budgets. No gradient."""

    @abstractmethod
    def modes(self) -> tuple[Schedule, ...]:
        """The most probable schedule of each budget."""

    @abstractmethod
    def _draw(self, rows: Tensor, uniforms: Tensor) -> Tensor:
        """Turn uniforms on [0, 1) [M, T] into compute masks [M, T] of the distributions ``rows`` [M]."""

    def sample(self, budgets: Sequence[int], generators: Sequence[torch.Generator]) -> list[Schedule]:
        """Draw one schedule per (budget, generator) pair, all together.

        Every draw takes T uniforms from its own generator, so a sibling's schedule depends only on its own seed. The
        same generator may appear repeatedly.

        Raises:
            BadInputError: if this batch does not hold one of the budgets.
        """
        rows = torch.tensor([self.row(budget) for budget in budgets], dtype=torch.long)
        if not len(rows):
            return []
        uniforms = torch.stack([torch.rand(self.num_steps, generator=each, dtype=torch.float64) for each in generators])
        with torch.no_grad():
            masks = self._draw(rows, uniforms)
        return [Schedule.from_mask(mask) for mask in masks.tolist()]

    def at(self, budget: int) -> SubsetDistribution:
        """The distribution of one of the budgets, sharing this batch's work.

        Raises:
            BadInputError: if this batch does not hold the budget.
        """
        return AtBudget(self, budget, self.row(budget))

    def row(self, budget: int) -> int:
        """Where ``budget`` stands in ``budgets``."""
        if budget not in self._row:
            raise BadInputError(f"budget {budget}: this batch holds only {list(self.budgets)}")
        return self._row[budget]

    def rows_of(self, schedules: Sequence[Schedule]) -> list[int]:
        """The row of each schedule's budget, after checking that all have this batch's T."""
        for schedule in schedules:
            if schedule.num_steps != self.num_steps:
                raise BadInputError(
                    f"schedule {schedule}: has {schedule.num_steps} steps, must have num_steps = {self.num_steps}"
                )
        return [self.row(schedule.budget) for schedule in schedules]


@dataclass(frozen=True, slots=True)
class AtBudget:
    """One row of a :class:`DistributionBatch`, as a :class:`SubsetDistribution`."""

    batch: DistributionBatch
    budget: int
    row: int

    def sample(self, num: int, generator: torch.Generator) -> list[Schedule]:
        return self.batch.sample([self.budget] * num, [generator] * num)

    def log_prob(self, schedules: Sequence[Schedule]) -> Tensor:
        for schedule in schedules:
            if schedule.budget != self.budget:
                raise BadInputError(f"schedule {schedule}: has budget {schedule.budget}, must have {self.budget}")
        return self.batch.log_prob(schedules)

    def entropy(self) -> Tensor:
        return self.batch.entropy()[self.row]

    def inclusion(self) -> Tensor:
        return self.batch.inclusion()[self.row]

    def mode(self) -> Schedule:
        return self.batch.modes()[self.row]
