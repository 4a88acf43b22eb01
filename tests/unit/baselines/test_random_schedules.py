from collections import Counter

import pytest

from recache_ray.baselines.random import random_schedules
from recache_ray.errors import BadInputError


def test_same_seed_same_schedules_and_other_seed_others() -> None:
    first = random_schedules(20, 6, count=5, seed=1)
    assert first == random_schedules(20, 6, count=5, seed=1)
    assert first != random_schedules(20, 6, count=5, seed=2)
    assert len(set(first)) == 5
    assert {schedule.budget for schedule in first} == {6}


def test_more_than_exist_gives_all_that_exist() -> None:
    assert len(random_schedules(5, 2, count=100, seed=0)) == 4
    assert len(random_schedules(5, 5, count=3, seed=0)) == 1
    assert len(random_schedules(5, 1, count=3, seed=0)) == 1


def test_every_step_after_the_first_is_equally_likely() -> None:
    counts = Counter(
        step for seed in range(2000) for step in random_schedules(8, 3, count=1, seed=seed)[0].compute_steps
    )
    assert counts[0] == 2000
    assert all(abs(counts[step] / 2000 - 2 / 7) < 0.05 for step in range(1, 8))


def test_bad_budget_and_count() -> None:
    with pytest.raises(BadInputError):
        random_schedules(5, 6, count=1, seed=0)
    with pytest.raises(BadInputError):
        random_schedules(5, 2, count=0, seed=0)
