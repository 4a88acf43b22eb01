"""Which task is number n: prompt, seeds, budgets and policy version as a pure function of n."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from recache_ray.errors import BadInputError
from recache_ray.learning.memo import RewardMemo
from recache_ray.seeding import derive_seed
from recache_ray.types import GenerationRequest, MechanismSpec, RolloutTask


@dataclass(frozen=True)
class TaskPlan:
    """The run's order of policy-gradient work.

    Update u is made of tasks ``u * tasks_per_update`` and following. Training requests (prompt and noise seed) are
    visited in shuffled epochs, cut to whole updates so that no update holds the same request twice. A task covers
    all budgets, ``siblings`` of each, because siblings of different budgets share prefixes too; with
    ``budgets_per_task`` it covers every n-th budget and consecutive tasks take turns.

    Attributes:
        requests: the training requests.
        budgets: every budget to learn, ascending.
        policy_lag: updates the policy of a task may trail; 0 is synchronous.

    Raises:
        BadInputError: if an update needs more distinct requests than there are.
    """

    requests: Sequence[GenerationRequest]
    mechanism: MechanismSpec
    budgets: tuple[int, ...]
    siblings: int
    tasks_per_update: int
    policy_lag: int = 0
    budgets_per_task: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tasks_per_update > len(self.requests):
            raise BadInputError(
                f"learning.tasks_per_update = {self.tasks_per_update}: must be at most the number of training prompts, "
                f"{len(self.requests)}; raise prompts.num_train"
            )

    def update_of(self, task_id: int) -> int:
        """The update that consumes a task in deterministic order."""
        return task_id // self.tasks_per_update

    def policy_version(self, task_id: int) -> int:
        """The version a task samples from in deterministic order: max(0, update - lag)."""
        return max(0, self.update_of(task_id) - self.policy_lag)

    def request(self, task_id: int) -> GenerationRequest:
        """The training request of a task."""
        per_epoch = len(self.requests) // self.tasks_per_update * self.tasks_per_update
        epoch, position = divmod(task_id, per_epoch)
        return self.requests[_epoch_order(len(self.requests), self.seed, epoch)[position]]

    def task_budgets(self, task_id: int) -> tuple[int, ...]:
        """The budget of every sibling of a task, ascending."""
        turns = -(-len(self.budgets) // self.budgets_per_task) if self.budgets_per_task else 1
        chosen = self.budgets[task_id % turns :: turns]
        return tuple(budget for budget in chosen for _ in range(self.siblings))

    def task(self, task_id: int, version: int, memo: RewardMemo) -> RolloutTask:
        """Task number ``task_id``, to be sampled from policy ``version``, knowing the memo as of that version."""
        request = self.request(task_id)
        return RolloutTask(
            task_id=task_id,
            request=request,
            mechanism=self.mechanism,
            budgets=self.task_budgets(task_id),
            sampling_seed=derive_seed("task", self.seed, task_id, version),
            policy_version=version,
            known=memo.known(request, version),
        )


@lru_cache(maxsize=8)
def _epoch_order(num_requests: int, seed: int, epoch: int) -> tuple[int, ...]:
    """The requests of an epoch by number, in the order they are visited."""
    order = list(range(num_requests))
    random.Random(derive_seed("epoch", seed, epoch)).shuffle(order)
    return tuple(order)
