"""How many generations, and how many computed steps, the run that these settings describe is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from recache_ray.build.mechanism import mechanism_spec
from recache_ray.config.root import Config
from recache_ray.diffusion.cost import StepCost
from recache_ray.learning.confirm import FINALISTS, halving, most_evaluations
from recache_ray.learning.judges import screening_schedules
from recache_ray.learning.plan import TaskPlan
from recache_ray.types import GenerationRequest, Prompt

GRADIENT = "policy gradient"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a run.

    Attributes:
        name: what it does.
        generations: pictures or videos it makes, memoised repeats included.
        computed_steps: of all of them, after shared prefixes were taken off.
        cached_steps: of all of them.
    """

    name: str
    generations: int
    computed_steps: float
    cached_steps: float

    def flops(self, step: StepCost) -> float:
        """Of the transformer."""
        return self.computed_steps * step.computed_flops + self.cached_steps * step.cached_flops

    def seconds(self, step: StepCost, extra_s: float) -> float:
        """Device time, with ``extra_s`` a generation outside the transformer."""
        steps = self.computed_steps * step.computed_s + self.cached_steps * step.cached_s
        return steps + self.generations * extra_s


def workload(config: Config, budgets: tuple[int, ...], num_steps: int) -> tuple[Phase, ...]:
    """Every phase of ``recache train``, from the references to the final evaluation.

    Training and evaluation count every schedule asked for; rewards that turn out to be known cost nothing when they
    are run, so this is from above. Calibrations and threshold searches of rivals are left out.

    Raises:
        BadInputError: if an update needs more prompts than there are.
    """
    prompts, learning, share = config.prompts, config.learning, config.plan.executed_share
    tested = prompts.num_test + config.evaluation.further_prompts
    references = prompts.num_train + prompts.num_validation + tested
    rollouts = _sampled_budgets(config, budgets)
    mean_budget = fmean(budgets)
    polish = learning.polish_evaluations
    screening = [schedule.budget for schedule in screening_schedules(num_steps, budgets)]
    screened = prompts.num_validation if polish and 0 < learning.num_judges < prompts.num_validation else 0
    further = max(0, min(learning.num_confirming, prompts.num_validation - learning.num_judges)) if screened else 0
    finalists = FINALISTS + len(learning.rivals)
    confirmed = len(budgets) * most_evaluations(finalists, halving(finalists, further))
    methods = 1 + sum(
        config.evaluation.random_schedules if name == "random" else 1 for name in config.evaluation.baselines
    )
    evaluated = tested * methods * len(budgets)
    return (
        Phase("references", references, float(references * num_steps), 0.0),
        _cached(GRADIENT, len(rollouts), sum(rollouts), num_steps, share),
        _cached("screening", screened * len(screening), screened * sum(screening), num_steps, 1.0),
        _cached("polish", polish, polish * mean_budget, num_steps, share),
        _cached("confirmation", confirmed, confirmed * mean_budget, num_steps, share),
        _cached("evaluation", evaluated, evaluated * mean_budget, num_steps, 1.0),
    )


def _cached(name: str, generations: int, computed: float, num_steps: int, share: float) -> Phase:
    return Phase(name, generations, share * computed, generations * num_steps - computed)


def _sampled_budgets(config: Config, budgets: tuple[int, ...]) -> Sequence[int]:
    """The budget of every sibling of every task of the policy gradient."""
    learning = config.learning
    plan = TaskPlan(
        requests=[GenerationRequest(Prompt(index, ""), 0) for index in range(config.prompts.num_train)],
        mechanism=mechanism_spec(config),
        budgets=budgets,
        siblings=learning.siblings,
        tasks_per_update=learning.tasks_per_update,
        budgets_per_task=learning.budgets_per_task,
    )
    tasks = range(learning.num_updates * learning.tasks_per_update)
    return [budget for task in tasks for budget in plan.task_budgets(task)]
