"""Budgets as users write them never cost more than they say, and nonsense gets one clear line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.errors import BadInputError
from recache_ray.schedules import BudgetCost, budget_unit, parse_budget, parse_budgets, split_budgets

CACHED_COST = st.floats(0, 0.5)


def cost(k: int, num_steps: int, cached: float) -> float:
    """Computed steps' worth of time."""
    return k + (num_steps - k) * cached


@pytest.mark.parametrize(
    ("budget", "k"),
    [(10, 10), ("10", 10), (" 10 ", 10), ("+10", 10), ("x5", 10), ("X5", 10), ("5x", 10), ("x2.5", 20), ("20%", 10)],
)
def test_every_form_of_ten_of_fifty_steps(budget: int | str, k: int) -> None:
    assert parse_budget(budget, 50) == k


def test_times_need_a_measurement() -> None:
    measured = BudgetCost(computed_s=0.01)
    assert parse_budget("250ms", 50, cost=measured) == parse_budget("0.25s", 50, cost=measured) == 25
    for budget in ("250ms", "1s"):
        with pytest.raises(BadInputError, match=r"no time of a step was measured.*recache bench step"):
            parse_budget(budget, 50)
    with pytest.raises(BadInputError, match=r"cached step was measured to take 0\.02 s, no less than"):
        parse_budget("250ms", 50, cost=BudgetCost(computed_s=0.02, cached_s=0.02))


@given(st.integers(2, 200), st.floats(0.001, 1), CACHED_COST, st.floats(0.1, 500))
def test_a_time_is_never_exceeded(num_steps: int, computed_s: float, cached: float, milliseconds: float) -> None:
    measured = BudgetCost(computed_s=computed_s, cached_s=cached * computed_s)
    text = f"{milliseconds:.6f}ms"
    bound = float(text[:-2]) / 1000
    try:
        k = parse_budget(text, num_steps, cost=measured)
    except BadInputError:
        fewest, beyond = (computed_s * cost(k, num_steps, cached) for k in (1, num_steps + 1))
        assert bound < fewest + 1e-5 or bound > beyond - 1e-5
        return
    assert computed_s * cost(k, num_steps, cached) <= bound + 1e-5
    assert computed_s * cost(k + 1, num_steps, cached) > bound - 1e-5


@given(st.integers(2, 200), st.floats(1, 8), CACHED_COST)
def test_a_ratio_is_the_largest_budget_that_reaches_it(num_steps: int, ratio: float, cached: float) -> None:
    bound = num_steps / float(f"{ratio:.6f}")
    try:
        k = parse_budget(f"x{ratio:.6f}", num_steps, cost=BudgetCost(cached))
    except BadInputError:
        assert cost(1, num_steps, cached) > bound - 1e-5
        return
    assert cost(k, num_steps, cached) <= 1.02 * bound + 1e-5
    assert k == num_steps or cost(k + 1, num_steps, cached) > bound - 1e-5
    assert k <= bound + 1e-5


@pytest.mark.parametrize(
    ("budget", "num_steps", "cached", "k"),
    [
        ("x5", 50, 0.00005, 10),  # the whole stack cached on FLUX.1: 4.999, called 5 by everyone
        ("x5", 50, 0.01754, 9),  # a probe of one block in 57 costs 7% on top: 4.67 would not do
        ("20%", 50, 0.0002, 10),
        ("60%", 100, 0.0, 60),
    ],
)
def test_a_cached_step_of_next_to_nothing_takes_no_computed_one(
    budget: str, num_steps: int, cached: float, k: int
) -> None:
    assert parse_budget(budget, num_steps, cost=BudgetCost(cached)) == k


def test_a_speed_up_beyond_what_cached_steps_leave_is_refused() -> None:
    with pytest.raises(BadInputError, match="computed steps; must be between"):
        parse_budget("x3", 50, cost=BudgetCost(1 / 3))  # Delta-DiT on FLUX computes a third of every step


@given(st.integers(1, 200), st.data())
def test_an_exact_share_gives_back_its_steps(num_steps: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, num_steps))
    assert parse_budget(f"{100 * k / num_steps:.9f}%", num_steps) in (k, k - 1 or 1)
    assert parse_budget(k, num_steps) == k == parse_budget(str(k), num_steps)


@pytest.mark.parametrize("budget", ["", "ten", "x", "%", "x5x", "x5%", "5 steps", "1e3", "nan", "xinf", "--5", "1..3"])
def test_what_is_not_a_budget_is_refused_with_the_forms(budget: str) -> None:
    with pytest.raises(BadInputError, match=r'not a budget; write a number .*"x5".*"20%".*"250ms"') as caught:
        parse_budget(budget, 50, name="generate.budget")
    assert str(caught.value).startswith(f"generate.budget = {budget!r}")


@pytest.mark.parametrize("budget", [True, 5.0, None, [5]])
def test_other_types_are_not_budgets(budget: object) -> None:
    with pytest.raises(BadInputError, match="not a budget"):
        parse_budget(budget, 50)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [0, -1, 51, "0", "-3", "x0.5", "x100", "1%", "103%"])
def test_budgets_out_of_range_name_the_bounds(budget: int | str) -> None:
    with pytest.raises(BadInputError, match=r"computed steps; must be between 1 and num_steps = 50"):
        parse_budget(budget, 50)


@pytest.mark.parametrize("budget", ["x0", "0%", "0ms"])
def test_a_quantity_of_zero_is_refused(budget: str) -> None:
    with pytest.raises(BadInputError, match="must be above 0"):
        parse_budget(budget, 50, cost=BudgetCost(computed_s=0.1))


@given(st.sets(st.integers(1, 30), min_size=1))
def test_lists_strings_and_ranges_agree(budgets: set[int]) -> None:
    ascending = tuple(sorted(budgets))
    assert parse_budgets(list(budgets), 30) == ascending
    assert parse_budgets(",".join(map(str, budgets)), 30) == ascending
    assert parse_budgets(f"[{', '.join(map(str, budgets))}]", 30) == ascending
    low, high = ascending[0], ascending[-1]
    assert parse_budgets(f"{low}..{high}", 30) == tuple(range(low, high + 1))
    assert parse_budgets([f"{low} .. {high}", *budgets], 30) == tuple(range(low, high + 1))


def test_a_single_budget_and_mixed_forms() -> None:
    assert parse_budgets(5, 50) == parse_budgets("5", 50) == parse_budgets(range(5, 6), 50) == (5,)
    assert parse_budgets("3..5, x5, 50%", 50) == (3, 4, 5, 10, 25)


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ("", "no budget given"),
        ([], "no budget given"),
        ("5..3", "the range is empty"),
        ("0..3", r"must be between 1 and num_steps = 20"),
        ("3..21", r"must be between 1 and num_steps = 20"),
        ("3..", "not a budget"),
        ("a..b", "not a budget"),
    ],
)
def test_bad_lists_are_refused(budgets: str | list[int], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        parse_budgets(budgets, 20, name="learning.budgets")
    assert str(caught.value).startswith("learning.budgets = ")
    assert "\n" not in str(caught.value)


def test_a_range_far_out_of_bounds_is_refused_without_being_built() -> None:
    with pytest.raises(BadInputError, match="must be between 1"):
        parse_budgets("1..999999999999", 20)


def test_units_of_every_form() -> None:
    parts = split_budgets("3..5, 7, x5, 2x, 20%, 250ms, 1s")
    assert [budget_unit(part) for part in parts] == ["steps"] * 2 + ["flops"] * 3 + ["seconds"] * 2
    assert budget_unit(7) == "steps"
    with pytest.raises(BadInputError, match="not a budget"):
        budget_unit("soon")
