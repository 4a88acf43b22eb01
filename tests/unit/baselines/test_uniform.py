from collections.abc import Callable
from itertools import pairwise

import pytest

from recache_ray.baselines.uniform import uniform, uniform_ends, uniform_warm
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

VARIANTS = (uniform, uniform_warm, uniform_ends)


@pytest.mark.parametrize(
    ("budget", "published"),
    [
        (21, "00001101101011011011011010110110110110110101101100"),
        (13, "00001111101111011111011110111110111110111101111100"),
        (9, "00001111111111011111111110111111111110111111111100"),
    ],
)
def test_ends_variant_equals_the_published_strings_of_gph(budget: int, published: str) -> None:
    """GPH writes 0 for a computed step and 1 for a cached one; T = 50."""
    assert str(uniform_ends(50, budget)) == published.translate(str.maketrans("01", "10"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_exactly_the_budget(variant: Callable[[int, int], Schedule]) -> None:
    for num_steps in (*range(1, 31), 50):
        for budget in range(1, num_steps + 1):
            schedule = variant(num_steps, budget)
            assert (schedule.budget, schedule.num_steps) == (budget, num_steps)
        assert variant(num_steps, num_steps) == Schedule.full(num_steps)
        assert variant(num_steps, 1).compute_steps == (0,)


def test_gaps_are_even_where_the_variant_says_so() -> None:
    for num_steps in (12, 20, 50):
        for budget in range(1, num_steps + 1):
            _assert_even((*uniform(num_steps, budget).compute_steps, num_steps))
            warm = (*uniform_warm(num_steps, budget).compute_steps, num_steps)
            if budget >= 3:
                assert warm[:3] == (0, 1, 2)
                _assert_even(warm[2:])
            if budget >= 4:
                ends = uniform_ends(num_steps, budget).compute_steps
                assert (*ends[:3], ends[-1]) == (0, 1, 2, num_steps - 1)
                _assert_even(ends[3:-1])


def test_ends_variant_below_five_steps_keeps_the_first_and_the_last() -> None:
    assert [uniform_ends(20, k).compute_steps for k in (1, 2, 3, 4)] == [(0,), (0, 19), (0, 1, 19), (0, 1, 2, 19)]
    assert uniform_ends(20, 5).compute_steps == (0, 1, 2, 10, 19)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("budget", [0, -1, 21])
def test_budget_out_of_range_is_bad_input(variant: Callable[[int, int], Schedule], budget: int) -> None:
    with pytest.raises(BadInputError, match="between 1 and num_steps = 20"):
        variant(20, budget)


def _assert_even(steps: tuple[int, ...]) -> None:
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert not gaps or max(gaps) - min(gaps) <= 1
