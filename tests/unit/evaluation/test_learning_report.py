"""Targets of the learning benchmark: which figures miss them, and how they are shown."""

import io

import pytest
from rich.console import Console

from recache_ray.evaluation.learning_report import LearningReport, LearningRun


def report(*rows):
    return LearningReport([LearningRun(t, 12, m, e, seed, r, e, 1.0) for t, m, e, seed, r in rows], {"cpu": "x"})


@pytest.mark.parametrize(
    ("evaluations", "regret", "missed"),
    [(1000, 1.104, False), (1000, 1.106, True), (2000, 1.06, True), (4000, 1.03, True), (300, 3.0, False)],
)
def test_targets_are_for_the_path_policy_to_two_decimals(evaluations, regret, missed):
    runs = report(
        ("t", "path", evaluations, 0, regret),
        ("t", "annealing", evaluations, 0, 9.0),
        ("t", "uniform", evaluations, 0, 1.0),
    )
    assert bool(runs.misses()) == missed


def test_means_over_seeds_are_judged_and_annealing_may_not_be_ahead():
    assert not report(("t", "path", 1000, 0, 1.0), ("t", "path", 1000, 1, 1.2)).misses()
    rivals = ("t", "annealing", 1000, 0, 9.0), ("t", "annealing_one", 1000, 0, 1.01)
    [line] = report(("t", "path", 1000, 0, 1.05), *rivals).misses()
    assert "behind annealing_one with 1.010" in line and "t after 1000" in line


def test_the_tables_of_one_t_share_a_target_but_annealing_is_compared_on_each():
    easy = ("easy", "path", 1000, 0, 1.0), ("easy", "annealing", 1000, 0, 1.5)
    assert not report(*easy, ("hard", "path", 1000, 0, 1.2), ("hard", "annealing", 1000, 0, 1.5)).misses()
    [line] = report(*easy, ("hard", "path", 1000, 0, 1.2), ("hard", "annealing", 1000, 0, 1.1)).misses()
    assert line.startswith("hard after 1000: regret 1.200, behind annealing")
    [line] = report(*easy, ("hard", "path", 1000, 0, 1.3), ("hard", "annealing", 1000, 0, 1.5)).misses()
    assert line == "T = 12 after 1000: regret 1.150, target 1.10; worst 1.300 on hard"
    easy_at_16 = [LearningRun("other", 16, method, 1000, 0, 1.0, 1000, 1.0) for method in ("path", "annealing")]
    runs = report(*easy, ("hard", "path", 1000, 0, 1.3), ("hard", "annealing", 1000, 0, 1.5)).runs
    assert LearningReport([*runs, *easy_at_16], {}).misses() == [line]


def test_the_table_shows_mean_and_spread_and_json_holds_every_run():
    runs = report(("t", "path", 1000, 0, 1.0), ("t", "path", 1000, 1, 1.2), ("t", "random", 1000, 0, 2.0))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(runs.table())
    text = " ".join(console.export_text().split())
    assert "1.100 ±0.141" in text and "2.000" in text and "mean of 2 seeds" in text
    assert [run["regret"] for run in runs.to_json()["runs"]] == [1.0, 1.2, 2.0]
