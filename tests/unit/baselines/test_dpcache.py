"""Both recurrences against every schedule there is."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from recache_ray.baselines.dpcache import PathRules, dpcache, dpcache_exact, path_cost, path_costs, published_rules
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


def random_errors(num_steps: int, seed: int) -> np.ndarray:
    """Errors without any structure, so that the frozen predecessor often misleads."""
    return np.random.default_rng(seed).exponential(size=(num_steps,) * 3)


def allowed(schedule: Schedule, rules: PathRules) -> bool:
    stops = (*schedule.compute_steps, schedule.num_steps)
    return (
        schedule.prefix(rules.warm_steps - 1) == tuple(range(rules.warm_steps))
        and (not rules.max_jump or all(b - a <= rules.max_jump for a, b in pairwise(stops[rules.warm_steps - 1 :])))
        and (not rules.ends_computed or schedule.computes(schedule.num_steps - 1))
    )


def all_schedules(num_steps: int, budget: int) -> list[Schedule]:
    return [Schedule(num_steps, (0, *others)) for others in combinations(range(1, num_steps), budget - 1)]


RULES = (PathRules(), PathRules(max_jump=4), PathRules(2, 5, True), PathRules(1, 0, True), PathRules(3))


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("num_steps", [3, 7, 10])
def test_exact_recurrence_finds_the_cheapest_schedule(num_steps: int, rules: PathRules) -> None:
    for seed in range(3):
        errors = random_errors(num_steps, seed)
        for budget in range(rules.warm_steps, num_steps + 1):
            choices = [each for each in all_schedules(num_steps, budget) if allowed(each, rules)]
            if not choices:
                with pytest.raises(BadInputError, match="no schedule has"):
                    dpcache_exact(errors, budget, rules)
                continue
            found = dpcache_exact(errors, budget, rules)
            assert found.budget == budget and allowed(found, rules)
            least = min(path_cost(errors, each) for each in choices)
            assert path_cost(errors, found) == pytest.approx(least, rel=1e-12)


def test_published_recurrence_is_never_better_and_often_worse() -> None:
    worse = 0
    for seed in range(20):
        errors = random_errors(10, seed)
        for budget in range(1, 11):
            for rules in (PathRules(), published_rules(10, budget)):
                published, exact = dpcache(errors, budget, rules), dpcache_exact(errors, budget, rules)
                assert published.budget == exact.budget == budget and allowed(published, rules)
                assert path_cost(errors, exact) <= path_cost(errors, published) + 1e-12
                assert path_cost(errors, dpcache_exact(errors, budget)) <= path_cost(errors, exact) + 1e-12
                worse += path_cost(errors, published) > path_cost(errors, exact) + 1e-12
    assert worse > 20


def test_recurrences_agree_where_the_forecast_needs_one_anchor_alone() -> None:
    """Then the predecessor plays no part, and freezing it loses nothing."""
    for seed in range(10):
        errors = np.broadcast_to(np.random.default_rng(seed).exponential(size=(1, 9, 9)), (9, 9, 9))
        for budget in range(1, 10):
            published, exact = dpcache(errors, budget, PathRules()), dpcache_exact(errors, budget)
            assert path_cost(errors, published) == pytest.approx(path_cost(errors, exact), rel=1e-12)


def test_cost_counts_each_cached_step_from_its_two_anchors() -> None:
    errors = random_errors(7, 0)
    expected = errors[0, 0, 1] + errors[0, 2, 3] + errors[2, 4, 5] + errors[2, 4, 6]
    assert path_cost(errors, Schedule(7, (0, 2, 4))) == pytest.approx(expected)


def test_published_rules_leave_a_path_at_every_budget() -> None:
    for num_steps in (2, 3, 8, 20, 50):
        errors = random_errors(num_steps, 1)
        for budget in range(1, num_steps + 1):
            rules = published_rules(num_steps, budget)
            assert allowed(dpcache(errors, budget, rules), rules)
    assert published_rules(50, 13) == PathRules(3, 15, True)


def test_bad_budgets_and_rules() -> None:
    errors = random_errors(5, 0)
    with pytest.raises(BadInputError, match="between 1 and num_steps = 5"):
        dpcache_exact(errors, 6)
    with pytest.raises(BadInputError, match="warm_steps = 3: must be between 1 and budget = 2"):
        dpcache(errors, 2, PathRules(3))


@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_costs_added_up_beforehand_are_those_of_the_sum(num_steps: int) -> None:
    errors = random_errors(num_steps, num_steps)
    cost = path_costs(errors)
    for budget in range(1, num_steps + 1):
        for schedule in all_schedules(num_steps, budget):
            assert cost(schedule) == pytest.approx(path_cost(errors, schedule), rel=1e-12, abs=1e-12)
