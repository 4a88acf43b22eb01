"""One number for how good a policy's schedules are on requests it did not learn from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from statistics import fmean

from recache_ray.errors import RunFailedError
from recache_ray.learning.measure import measure
from recache_ray.learning.memo import RewardMemo
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GenerationRequest, MechanismSpec

# far above the ids of training tasks, which may be in the pool's records of the same run
_FIRST_TASK_ID = 1 << 40


class Judge:
    """Measures the modes of a policy; what it measured before costs nothing.

    Args:
        pool: must be idle whenever :meth:`score` is called.
        requests: judged on, apart from those learned from.
        costs: whether rewards are costs (minus LPIPS), which differ between budgets by orders of magnitude.
        check_stop: raises to end a measurement early.
    """

    def __init__(
        self,
        pool: RolloutPool,
        mechanism: MechanismSpec,
        requests: Sequence[GenerationRequest],
        *,
        costs: bool,
        check_stop: Callable[[], None],
    ) -> None:
        self._pool, self._requests, self._costs, self._check_stop = pool, tuple(requests), costs, check_stop
        self._memo = RewardMemo(mechanism)
        self._task_ids = itertools.count(_FIRST_TASK_ID)

    def score(self, policy: BudgetPolicy) -> float:
        """Higher is better: mean over budgets of the mean reward, or of minus the logarithm of the mean cost.

        Raises:
            RunFailedError: if a generation fails.
        """
        modes = {budget: policy.distribution(budget).mode() for budget in policy.budgets}
        pairs = [(request, mode) for mode in modes.values() for request in self._requests]
        missing = [pair for pair in pairs if self._memo.get(*pair) is None]
        groups, failures = measure(self._pool, self._memo.mechanism, missing, self._task_ids, self._check_stop)
        if failures:
            raise RunFailedError(f"a policy cannot be judged: {failures[0].reason}")
        for group in groups:
            self._memo.record(group, 0)
        means = []
        for mode in modes.values():
            found = [self._memo.get(request, mode) for request in self._requests]
            means.append(fmean(breakdown.reward for breakdown in found if breakdown is not None))
        return fmean(-math.log(max(-mean, 1e-12)) for mean in means) if self._costs else fmean(means)
