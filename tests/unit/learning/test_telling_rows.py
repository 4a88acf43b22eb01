"""The rows a surrogate is fitted on: best schedules first, each whole, every budget with its share."""

import random
from collections import Counter, defaultdict

from recache_ray.learning.surrogate import Measurement
from recache_ray.learning.telling_rows import MIN_FITTED_PER_BUDGET, telling_rows
from recache_ray.schedules import Schedule

_PROMPTS = 10
_MANY = 40


def _rows(seed: int) -> list[Measurement]:
    """Forty schedules a budget, each on some of ten prompts; a schedule's cost grows with its number."""
    generator = random.Random(seed)
    rows = []
    for budget in range(3, 15):
        schedules: dict[Schedule, None] = {}
        while len(schedules) < _MANY:
            schedules[Schedule(20, (0, *sorted(generator.sample(range(1, 20), budget - 1))))] = None
        for number, schedule in enumerate(schedules):
            for request in generator.sample(range(_PROMPTS), 1 + number % _PROMPTS):
                rows.append(Measurement(schedule, request, -(1.5**request) * (1 + number)))
    return rows


def test_a_schedule_is_taken_with_all_its_rows_or_not_at_all() -> None:
    rows = _rows(0)
    every, taken = (
        Counter(row.schedule for row in rows),
        Counter(row.schedule for row in telling_rows(rows, range(3, 15))),
    )
    assert set(taken) < set(every)
    assert all(every[schedule] == count for schedule, count in taken.items())


def test_every_budget_has_its_share_and_no_more_than_one_schedule_above_it() -> None:
    by_budget = Counter(row.schedule.budget for row in telling_rows(_rows(1), range(3, 15)))
    assert set(by_budget) == set(range(3, 15))
    assert all(MIN_FITTED_PER_BUDGET <= count < MIN_FITTED_PER_BUDGET + _PROMPTS for count in by_budget.values())


def test_the_best_schedules_are_taken_whatever_prompts_they_met() -> None:
    """Prompts differ 38-fold in cost, schedules 40-fold: only with the ease of prompts taken off is the order right."""
    rows = _rows(2)
    numbers: dict[Schedule, float] = {row.schedule: -row.reward / 1.5**row.request for row in rows}
    taken: dict[int, list[float]] = defaultdict(list)
    for schedule in {row.schedule for row in telling_rows(rows, range(3, 15))}:
        taken[schedule.budget].append(numbers[schedule])
    for found in taken.values():
        assert max(found) < 1.2 * len(found) + 1  # by raw cost the worst schedules on easy prompts come first
