import io
import math
from dataclasses import replace

from rich.console import Console

from recache_ray.evaluation.frontier import FrontierRow
from recache_ray.evaluation.table import compare, frontier_table, verdict


def row(schedule: str, budget: int, lpips: float, mechanism: str = "taylor1") -> FrontierRow:
    return FrontierRow(
        schedule, mechanism, 20, budget, budget, 0.0, 20 / budget, 1.0, lpips, 30.0, 0.9, None, -lpips, 16, lpips, lpips
    )


ROWS = (
    row("policy", 3, 0.2),
    row("policy", 5, 0.1),
    row("uniform", 3, 0.5),
    row("uniform_warm", 3, 0.4),
    row("random", 3, 0.01),
    row("uniform", 5, 0.2),
    row("uniform_ends", 5, 0.25),
)


def test_the_rival_is_the_best_uniform_variant_and_never_another_baseline() -> None:
    pairs = compare(ROWS)
    assert [(pair.policy.budget, pair.uniform.schedule, pair.ratio) for pair in pairs] == [
        (3, "uniform_warm", 0.5),
        (5, "uniform", 0.5),
    ]


def test_mechanisms_are_compared_with_themselves() -> None:
    other = [replace(item, mechanism="reuse", lpips=item.lpips * 10) for item in ROWS]
    assert [pair.ratio for pair in compare((*ROWS, *other))] == [0.5] * 4


def test_table_fits_eighty_columns_and_shows_every_figure() -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(frontier_table(ROWS))
    text = stream.getvalue()
    assert "…" not in text
    line = next(line for line in text.splitlines() if "3/20" in line)
    assert line.split() == ["3/20", "÷6.67", "0.200", "0.200", "-", "0.200", "0.400", "uniform_warm", "0.500"]


def test_verdict_says_where_the_policy_wins_and_where_not() -> None:
    assert verdict(ROWS) == (
        "Policy below the best uniform schedule at 2 of 2 budgets; LPIPS 50% lower on geometric mean."
    )
    worse = (*ROWS, row("policy", 7, 0.4), row("uniform", 7, 0.1), row("policy", 20, 5e-12), row("uniform", 20, 0.0))
    assert verdict(worse) == (
        "Policy below the best uniform schedule at 2 of 4 budgets; LPIPS 0% lower on geometric mean; "
        "level at budget 20; behind at budget 7."
    )
    assert verdict(ROWS[:2]).startswith("No uniform baseline")


def test_an_exact_uniform_schedule_makes_any_error_infinitely_worse() -> None:
    pairs = compare((row("policy", 3, 0.1), row("uniform", 3, 0.0)))
    assert pairs[0].ratio == math.inf
    assert "behind at budget 3" in verdict((row("policy", 3, 0.1), row("uniform", 3, 0.0)))
