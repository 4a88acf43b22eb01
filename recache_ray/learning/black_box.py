"""The whole learner for anything that can score a schedule: no model, no cluster, no files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from recache_ray.config.learning import LearningConfig
from recache_ray.errors import BadInputError
from recache_ray.learning.function_pool import FunctionPool
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.learning.plan import TaskPlan
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule, ScheduleTable, parse_budgets
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RewardBreakdown

SIBLINGS = 8
# Share of the evaluations for the policy gradient when all of its samples differ; what it saves goes to the polish.
POLICY_SHARE = 0.3
# Each budget shall get about this many schedules through all the prompts they are judged on.
FULL_JUDGEMENTS = 25
# A prompt left out may be the one that decides the mean; the race over prompts keeps judging on more of them cheap.
FEWEST_JUDGED_ON = 4


def learn_schedules(
    reward_fn: Callable[[int, Schedule], float],
    num_steps: int,
    budgets: int | str | Iterable[int | str],
    num_prompts: int,
    max_evaluations: int,
    seed: int = 0,
    policy: str = "path",
) -> ScheduleTable:
    """Learn the best schedule of every budget for a black-box reward.

    The objective is the mean reward over prompts. ``reward_fn`` is never called twice with the same arguments and at
    most ``max_evaluations`` times in all. Rewards that are never positive are taken for costs with a minus sign, as
    -LPIPS is: they are learnt through their logarithm, and the schedules returned have the lowest mean cost.

    Args:
        reward_fn: ``reward_fn(prompt_index, schedule)``, deterministic, finite, higher is better.
        num_steps: T.
        budgets: budgets to learn, in any form :func:`parse_budgets` takes.
        num_prompts: prompt indices are ``0..num_prompts - 1``.
        max_evaluations: bound on the calls of ``reward_fn``.
        seed: of sampling and search.
        policy: kind of the policy, as in ``policy.kind``.

    Raises:
        BadInputError: if an argument is out of range or a reward is not finite.

    Example:
        >>> table = learn_schedules(lambda prompt, s: -abs(s.compute_steps[1] - 3), 8, [2], 1, 30)
        >>> table[2].compute_steps
        (0, 3)
    """
    for name, value in (("num_prompts", num_prompts), ("max_evaluations", max_evaluations)):
        if value < 1:
            raise BadInputError(f"{name} = {value}: must be at least 1")
    chosen = parse_budgets(budgets, num_steps)
    requests = [GenerationRequest(Prompt(index, f"prompt {index}"), noise_seed=0) for index in range(num_prompts)]

    def reward(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
        value = float(reward_fn(request.prompt.index, schedule))
        if not math.isfinite(value):
            raise BadInputError(
                f"reward_fn({request.prompt.index}, {schedule}) = {value}: must be finite; return a low reward instead"
            )
        return RewardBreakdown(value)

    num_updates = int(POLICY_SHARE * max_evaluations) // (SIBLINGS * len(chosen))
    section = LearningConfig(siblings=SIBLINGS, tasks_per_update=1, num_updates=num_updates, num_judges=0)
    learner = Learner(BudgetPolicy(num_steps, chosen, kind=policy, seed=seed), section)
    plan = TaskPlan(requests, MechanismSpec("black_box"), chosen, SIBLINGS, tasks_per_update=1, seed=seed)
    judged = min(num_prompts, max(FEWEST_JUDGED_ON, max_evaluations // (FULL_JUDGEMENTS * len(chosen))))
    loop = TrainingLoop(learner, plan, FunctionPool(reward), requests[:judged], section)
    loop.learn()
    return loop.polish(max_evaluations - len(loop.memo))
