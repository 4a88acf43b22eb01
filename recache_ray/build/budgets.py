"""Budgets of a run as numbers of computed steps: FLOPs are counted from the architecture, times must be measured."""

from __future__ import annotations

from recache_ray.build.architecture import configured_architecture, configured_size
from recache_ray.build.measured_cost import measured_cost
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.caching.footprint import footprint
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.root import Config, check_learnable
from recache_ray.errors import BadInputError
from recache_ray.schedules import FREE, BudgetCost, budget_unit, parse_budget, parse_budgets, split_budgets


def learning_budgets(config: Config) -> tuple[int, ...]:
    """The budgets to learn, ascending.

    Raises:
        BadInputError: as :func:`budget_cost`, or if one is outside 2..T.
    """
    budgets = _resolved(config, config.learning.budgets, "learning.budgets")
    check_learnable(budgets, config.learning.budgets)
    return budgets


def evaluation_budgets(config: Config) -> tuple[int, ...]:
    """The budgets to evaluate, ascending.

    Raises:
        BadInputError: as :func:`learning_budgets`, but 1 is a budget.
    """
    if not config.evaluation.budgets:
        return learning_budgets(config)
    return _resolved(config, config.evaluation.budgets, "evaluation.budgets")


def gate_budgets(config: Config) -> tuple[int, ...]:
    """The budgets adaptive baselines are brought to, ascending.

    Raises:
        BadInputError: as :func:`learning_budgets`, or if one is not evaluated.
    """
    evaluated = evaluation_budgets(config)
    if not config.evaluation.gate_budgets:
        return evaluated
    chosen = _resolved(config, config.evaluation.gate_budgets, "evaluation.gate_budgets")
    if missing := sorted(set(chosen) - set(evaluated)):
        raise BadInputError(
            f"evaluation.gate_budgets = {config.evaluation.gate_budgets!r}: {missing} are not evaluated; add them to "
            "evaluation.budgets or leave them out"
        )
    return chosen


def generation_budget(config: Config, num_steps: int) -> int:
    """The budget of one picture.

    Raises:
        BadInputError: as :func:`budget_cost`, or if it is outside 1..T.
    """
    given = config.generate.budget
    return parse_budget(given, num_steps, cost=budget_cost(config, (given,), "budget"), name="budget")


def budget_cost(config: Config, budgets: tuple[int | str, ...], name: str) -> BudgetCost:
    """What these budgets are resolved with; numbers of steps need nothing, and nothing is counted for them.

    Raises:
        BadInputError: if one is malformed, FLOPs of the model cannot be counted, or a time was never measured; then it
            says the command that measures.
    """
    units = {budget_unit(budget, name=name) for budget in budgets}
    if units <= {"steps"}:
        return FREE
    measured = measured_cost(config)
    if "seconds" in units and measured is None:
        raise BadInputError(
            f"{name} = {', '.join(map(str, budgets))!r}: seconds of a step were never measured for this model, size, "
            f"num_steps and mechanism; measure them: recache bench step run.dir={config.run.dir}, same other settings"
        )
    if measured is not None:
        step = measured.step
        return BudgetCost(step.cached_flops / step.computed_flops, step.computed_s, step.cached_s)
    return BudgetCost(_counted_share(config))


def _resolved(config: Config, given: str, name: str) -> tuple[int, ...]:
    parts = split_budgets(given)
    return parse_budgets(parts, config.model.num_steps, cost=budget_cost(config, parts, name), name=name)


def _counted_share(config: Config) -> float:
    from recache_ray.diffusion.forward_cost import count_forward, planned_step

    cost = count_forward(configured_architecture(config), configured_size(config.model))
    step = planned_step(cost, 1, footprint(build_mechanism(mechanism_spec(config))), 1.0)
    return step.cached_flops / step.computed_flops
