from recache_ray.baselines.exact_budget import exact_budget
from recache_ray.schedules import Schedule

NUM_STEPS = 12


def every(threshold: float) -> Schedule:
    """Computes every step, every second, every fourth: budgets 12, 6 and 3."""
    stride = 1 if threshold < 0.3 else 2 if threshold < 700 else 4
    return Schedule.from_steps(NUM_STEPS, range(0, NUM_STEPS, stride))


def late(schedule: Schedule) -> float:
    """Steps cached late cost more."""
    return float(sum(step for step in range(NUM_STEPS) if not schedule.computes(step)))


def test_a_budget_on_the_way_is_the_rules_own() -> None:
    assert exact_budget(every, late, 6) == every(1.0)
    assert exact_budget(every, late, 3) == every(1000.0)
    assert exact_budget(every, late, 12) == Schedule.full(NUM_STEPS)


def test_a_budget_skipped_over_thins_the_one_above_where_it_costs_least() -> None:
    assert exact_budget(every, late, 5).compute_steps == (0, 4, 6, 8, 10)
    assert exact_budget(every, late, 9).compute_steps == (0, *range(4, 12))
    assert exact_budget(every, late, 2).compute_steps == (0, 8)
    assert exact_budget(every, late, 1).compute_steps == (0,)
