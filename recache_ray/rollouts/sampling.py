"""Schedules drawn from a policy snapshot, equal in every process. Shapes: M siblings."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule
from recache_ray.seeding import derive_seed
from recache_ray.types import PolicySnapshot


class ScheduleSampler:
    """Draws from snapshots, keeping the policy of the last one since most tasks bring the same."""

    def __init__(self) -> None:
        self._snapshot: PolicySnapshot | None = None
        self._policy: BudgetPolicy | None = None

    def sample(
        self, snapshot: PolicySnapshot, budgets: Sequence[int], sampling_seed: int
    ) -> tuple[list[Schedule], list[float]]:
        """One schedule per entry of ``budgets`` [M], and its log-probability [M].

        Every sibling has a generator of its own, seeded by ``sampling_seed`` and its index.

        Raises:
            BadInputError: if a budget or the snapshot does not fit the policy.
        """
        if self._policy is None or snapshot != self._snapshot:
            self._policy, self._snapshot = BudgetPolicy.from_snapshot(snapshot), snapshot
        generators = [
            torch.Generator().manual_seed(derive_seed(sampling_seed, sibling)) for sibling in range(len(budgets))
        ]
        with torch.no_grad():
            distributions = self._policy.distributions(sorted(set(budgets)))
            schedules = distributions.sample(budgets, generators)
            return schedules, distributions.log_prob(schedules).tolist()
