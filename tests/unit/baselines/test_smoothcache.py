from itertools import pairwise

import numpy as np
import pytest

from recache_ray.baselines.smoothcache import smoothcache, smoothcache_error, smoothcache_rule
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


def drift(num_steps: int, seed: int = 0) -> np.ndarray:
    """Errors of a residual that walks at a pace of its own at each step."""
    place = np.random.default_rng(seed).uniform(0.1, 1, num_steps).cumsum()
    return np.abs(place[:, None] - place)


def test_the_rule_takes_the_longest_run_whose_end_is_within_the_threshold() -> None:
    errors = np.full((8, 8), 9.0)
    errors[0, 1] = errors[2, 3] = errors[2, 5] = errors[6, 7] = 0.1  # 2 -> 5 counts although 2 -> 4 is not within
    assert str(smoothcache_rule(errors, 0.1, lookahead=3)) == "10100011"
    assert str(smoothcache_rule(errors, 0.1, lookahead=2)) == "10101111"
    assert smoothcache_rule(errors, 0.05, lookahead=3) == Schedule.full(8)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 8, 20, 50])
def test_every_budget_is_met_exactly_and_ends_computed(num_steps: int) -> None:
    errors = drift(num_steps)
    for budget in range(1, num_steps + 1):
        schedule = smoothcache(errors, budget)
        assert (schedule.budget, schedule.num_steps) == (budget, num_steps)


def test_published_lookahead_holds_where_the_budget_allows_it() -> None:
    for seed in range(5):
        gaps = [b - a for a, b in pairwise(smoothcache(drift(20, seed), 8).compute_steps)]
        assert max(gaps) <= 4


def test_fast_regions_get_the_computed_steps() -> None:
    place = np.concatenate([np.linspace(0, 10, 10), np.linspace(10, 11, 20)])
    schedule = smoothcache(np.abs(place[:, None] - place), 14)
    assert len(schedule.prefix(9)) > 14 // 2


def test_error_signal_counts_the_distance_to_the_last_computed_step() -> None:
    errors = drift(6)
    assert smoothcache_error(errors, Schedule.full(6)) == 0
    expected = errors[0, 1] + errors[2, 3] + errors[2, 4] + errors[2, 5]
    assert smoothcache_error(errors, Schedule(6, (0, 2))) == pytest.approx(expected)


def test_budget_out_of_range_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="between 1 and num_steps = 6"):
        smoothcache(drift(6), 7)
