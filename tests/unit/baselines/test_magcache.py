import math
from itertools import pairwise

import pytest

from recache_ray.baselines.magcache import (
    FLUX_GAMMA,
    interpolate_gamma,
    magcache_error,
    magcache_frozen,
    magcache_rule,
)
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


def test_published_flux_curve_and_constants() -> None:
    """Threshold 0.24, at most 5 skips, a tenth retained; walked by hand along the published curve up to step 16."""
    schedule = magcache_rule(FLUX_GAMMA, 0.24, retained=2, max_skips=5)
    assert str(schedule) == "1101001000100000100000100010"
    assert len(FLUX_GAMMA) == 28


def test_the_rule_obeys_its_threshold_and_its_longest_run() -> None:
    for threshold in (0.05, 0.1, 0.24, 1.0):
        schedule = magcache_rule(FLUX_GAMMA, threshold, retained=1, max_skips=4)
        stops = (*schedule.compute_steps, 28)
        assert max(later - earlier for earlier, later in pairwise(stops)) <= 5
        for earlier, later in pairwise(stops):
            run = Schedule.from_steps(later, range(earlier + 1))
            assert magcache_error(FLUX_GAMMA, run) <= threshold
            longer = Schedule.from_steps(min(28, later + 1), range(earlier + 1))
            if later - earlier <= 4 and later < 28:
                assert magcache_error(FLUX_GAMMA, longer) > threshold


@pytest.mark.parametrize("num_steps", [2, 8, 20, 28, 50])
def test_every_budget_is_met_exactly(num_steps: int) -> None:
    for budget in range(1, num_steps + 1):
        schedule = magcache_frozen(FLUX_GAMMA, num_steps, budget)
        assert (schedule.budget, schedule.num_steps) == (budget, num_steps)


def test_a_budget_the_rule_meets_is_the_rules_own_schedule() -> None:
    own = magcache_rule(FLUX_GAMMA, 0.24, retained=2, max_skips=5)
    found = magcache_frozen(FLUX_GAMMA, 28, own.budget)
    thresholds = [step / 1000 for step in range(1, 1000)]
    assert found in {magcache_rule(FLUX_GAMMA, each, retained=2, max_skips=5) for each in thresholds}


def test_interpolation_keeps_the_ends_and_takes_calibrated_values() -> None:
    curve = interpolate_gamma(FLUX_GAMMA, 50)
    assert (curve[0], curve[-1], len(curve)) == (FLUX_GAMMA[0], FLUX_GAMMA[-1], 50)
    assert set(curve) == set(FLUX_GAMMA)
    assert interpolate_gamma(FLUX_GAMMA, 28) == FLUX_GAMMA
    assert interpolate_gamma(FLUX_GAMMA, 1) == (FLUX_GAMMA[-1],)


@pytest.mark.parametrize("gamma", [(), (1.0, math.nan, 1.0), (1.0, 0.0, 1.0), (1.0, math.inf, 1.0)])
def test_a_curve_that_cannot_be_is_refused(gamma: tuple[float, ...]) -> None:
    with pytest.raises(BadInputError, match="must be positive and finite"):
        magcache_frozen(gamma, 3, 2)


@pytest.mark.parametrize("budget", [0, 21])
def test_budget_out_of_range_is_bad_input(budget: int) -> None:
    with pytest.raises(BadInputError, match="between 1 and num_steps = 20"):
        magcache_frozen(FLUX_GAMMA, 20, budget)
