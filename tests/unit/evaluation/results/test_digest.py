"""Results at one look, of made-up runs."""

import math

import pytest

from recache_ray.evaluation.results.digest import render_digest
from recache_ray.evaluation.results.records import MethodResult, Point, Results, RunResult

OURS = {3: 0.1, 5: 0.04}


def method(name: str, lpips: dict[int, float]) -> MethodResult:
    points = tuple(
        Point(k, k, 20 / k, value, OURS[k] / value, 0.9 * OURS[k] / value, 1.1 * OURS[k] / value)
        for k, value in lpips.items()
    )
    ratio = math.exp(sum(math.log(point.ratio) for point in points) / len(points))
    return MethodResult(name, "uniform", points, ratio, 0.9 * ratio, 1.1 * ratio, 0)


def results(*runs: dict[str, dict[int, float]]) -> Results:
    return Results(
        "main",
        "recache results results.name=main",
        tuple(
            RunResult(
                "taylor1", 20, seed, "shapes", 48, "2026-01-01", f"abc{seed}", "abacus", "recache train",
                tuple(method(name, lpips) for name, lpips in {"policy": OURS, **rivals}.items()),
            )
            for seed, rivals in enumerate(runs)
        ),
    )  # fmt: skip


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|") and "---" not in line]


def test_every_rival_has_a_row_and_every_run_a_column_the_closest_first() -> None:
    text = render_digest(
        results(
            {"far": {3: 1.0, 5: 0.4}, "near": {3: 0.2, 5: 0.08}},
            {"near": {3: 0.1, 5: 0.16}, "partial": {5: 0.05}, "far": {3: 1.0, 5: 0.4}},
        ),
        "p/main.png",
        "p/main.md",
    )
    header, *body = rows(text)
    assert header == ["rival", "family", "taylor1, T = 20, seed 0", "taylor1, T = 20, seed 1"]
    assert [row[0] for row in body] == ["partial", "near", "far", "*best of each budget*"]
    assert body[0][-1] == "0.80 (0.72 to 0.88), at 5"
    assert body[1][2:] == ["0.50 (0.45 to 0.55)", "0.50 (0.45 to 0.55)"]
    assert body[2][2:] == ["0.10 (0.09 to 0.11)"] * 2
    assert body[3][-2:] == ["0.50", f"{math.sqrt(1.0 * 0.8):.2f}"]  # near at 3, partial at 5
    assert "budgets (3, 5)" in text and "](p/main.png)" in text and "(p/main.md)" in text
    assert text.count("abacus, commit abc") == 2 and "`recache results results.name=main`" in text
    assert "No rival wins at any budget." in text


@pytest.mark.parametrize(("factor", "sure"), [(0.97, False), (0.5, True)])
def test_a_rival_that_wins_is_named_with_its_run(factor: float, sure: bool) -> None:
    text = render_digest(results({"a": {3: 0.2, 5: 0.2}}, {"a": {3: 0.1 * factor, 5: 0.08}}), "m.png", "m.md")
    said = "**a at 3 (2.00), decided**" if sure else "a at 3 (1.03), undecided"
    assert f"\n* taylor1, T = 20, seed 1: {said}\n" in text and "seed 0: a" not in text
