"""Published results of synthetic runs: what is collected, ranked, rendered and put into a hand-written file."""

import dataclasses
import math
from pathlib import Path

import pytest

from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import read_frontier
from recache_ray.evaluation.paired import paired_geometric_mean, prompt_means
from recache_ray.evaluation.results.collect import collect_run, family_of
from recache_ray.evaluation.results.order import decided_pairs
from recache_ray.evaluation.results.picture import plot_results
from recache_ray.evaluation.results.ranking import agreement, ranks, standings
from recache_ray.evaluation.results.records import MethodResult, Point, Results, RunResult, read_results
from recache_ray.evaluation.results.render import best_of_families, render_markdown
from recache_ray.evaluation.results.section import read_section, replace_section
from recache_ray.evaluation.samples import SAMPLES
from recache_ray.testing.evaluated_run import write_evaluated_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evaluated_run(tmp_path_factory.mktemp("runs") / "one", prompts=5, budgets=(3, 5))


@pytest.fixture(scope="module")
def run(folder: Path) -> RunResult:
    return collect_run(folder, "recache train run.dir=one", bootstrap_samples=100)


def method(name: str, lpips: dict[int, float], ours: dict[int, float], forwards: int | None = 0) -> MethodResult:
    points = tuple(
        Point(k, k, 20 / k, value, ours[k] / value, 0.9 * ours[k] / value, 1.1 * ours[k] / value)
        for k, value in lpips.items()
    )
    ratio = math.exp(sum(math.log(point.ratio) for point in points) / len(points))
    return MethodResult(name, family_of(name), points, ratio, 0.9 * ratio, 1.1 * ratio, forwards)


def made_up(seed: int, **others: dict[int, float]) -> RunResult:
    ours = {3: 0.1, 5: 0.04}
    methods = (method("policy", ours, ours, 5000), *(method(name, lpips, ours) for name, lpips in others.items()))
    return RunResult("taylor1", 20, seed, "shapes", 48, "2026-01-01", "abc", "abacus", "recache train", methods)


def test_figures_are_those_of_the_evaluation(folder: Path, run: RunResult) -> None:
    rows = {(row.schedule, row.budget): row for row in read_frontier(folder / "evaluation" / "frontier.parquet")}
    samples = SAMPLES.read(folder / "evaluation" / "samples.parquet")

    def of(name: str, budget: int) -> dict[int, float]:
        return prompt_means(sample for sample in samples if (sample.schedule, sample.budget) == (name, budget))

    assert {(each.method, point.budget) for each in run.methods for point in each.points} == set(rows)
    assert run.methods[0].method == "policy" and run.methods[0].ratio == 1.0 and run.num_prompts == 5
    for each in run.methods[1:]:
        pairs = [(of("policy", k), of(each.method, k)) for k in (3, 5)]
        overall = paired_geometric_mean(pairs, samples=100, seed=0)
        assert (each.ratio, each.low, each.high) == (overall.ratio, overall.low, overall.high)
        for point in each.points:
            assert point.lpips == rows[each.method, point.budget].lpips
            assert point.ratio == pytest.approx(rows["policy", point.budget].lpips / point.lpips)
    assert run.methods[0].forwards == 4000  # both parts of the policy's cost


def test_the_file_gives_back_what_was_written_to_seven_digits(run: RunResult) -> None:
    results = Results("main", "recache results", (run,))
    once = read_results(results.to_json(), "main.json")
    assert read_results(once.to_json(), "main.json") == once
    assert once.to_csv() == results.to_csv()
    assert [each.method for each in once.runs[0].methods] == [each.method for each in run.methods]
    assert once.runs[0].methods[1].ratio == pytest.approx(run.methods[1].ratio, rel=1e-6)
    for broken in ("", "{}", results.to_json().replace('"schema_version": 1', '"schema_version": 2')):
        with pytest.raises(BadInputError, match=r"main\.json: not a results file"):
            read_results(broken, "main.json")


def test_of_a_family_the_closest_is_shown_and_every_rival_that_wins_is_named() -> None:
    run = made_up(
        0,
        uniform={3: 0.12, 5: 0.05},
        lemica={3: 0.2, 5: 0.02},
        dpcache={3: 0.12, 5: 0.038},
        magcache_frozen={3: 0.1, 5: 0.3},
    )
    assert [each.method for each in best_of_families(run)] == ["lemica", "uniform"]
    text = render_markdown(Results("main", "recache results", (run,)), "main.png")
    won = [line for line in text.splitlines() if line.startswith("* budget")]
    assert [line.split()[3] for line in won] == ["lemica", "dpcache"]
    assert "undecided" not in won[0] and "undecided" in won[1]
    assert "Level: magcache_frozen at 3." in text
    assert "No rival wins" not in text
    assert "No rival wins at any budget." in render_markdown(
        Results("main", "recache results", (made_up(0, uniform={3: 0.12, 5: 0.05}),)), "main.png"
    )


def test_a_rival_that_spends_more_says_so() -> None:
    run = made_up(0, uniform={3: 0.12, 5: 0.05}, fbcache={3: 0.05, 5: 0.05})
    points = tuple(dataclasses.replace(point, flops_ratio=point.flops_ratio / 2) for point in run.methods[2].points)
    dear = dataclasses.replace(run.methods[2], points=points)
    run = dataclasses.replace(run, methods=(*run.methods[:2], dear))
    text = render_markdown(Results("main", "c", (run,)), "main.png")
    assert "for 2.00 times our FLOPs" in text
    (row,) = [
        line
        for line in text.split("**At equal FLOPs.**")[1].split("**Ranking")[0].splitlines()
        if line.startswith("| fbcache")
    ]
    assert row.split(" | ")[1].endswith("of 2")
    even = made_up(0, uniform={3: 0.12, 5: 0.05})
    assert "At equal FLOPs" not in render_markdown(Results("main", "c", (even,)), "main.png")


def test_ranking_is_relative_to_evenly_spaced_schedules_and_seeds_are_compared() -> None:
    first = made_up(0, uniform={3: 0.2, 5: 0.04}, lemica={3: 0.2, 5: 0.02}, cache_dit={5: 0.01})
    assert standings(first) == pytest.approx({"policy": 0.5**0.5, "lemica": 0.5**0.5, "uniform": 1.0})
    assert "cache_dit" not in standings(first)
    assert ranks({"a": 1.0, "b": 1.0, "c": 2.0}, ["a", "b", "c"]) == {"a": 1, "b": 1, "c": 3}
    same = made_up(1, uniform={3: 0.3, 5: 0.04}, lemica={3: 0.21, 5: 0.03})
    other = made_up(1, uniform={3: 0.2, 5: 0.04}, lemica={3: 0.05, 5: 0.02})
    (agreed,) = agreement([made_up(0, uniform={3: 0.2, 5: 0.05}, lemica={3: 0.2, 5: 0.04}), same])
    assert "ranking of the 3 methods" in agreed and " agrees; first: policy." in agreed
    (differs,) = agreement([made_up(0, uniform={3: 0.2, 5: 0.05}, lemica={3: 0.2, 5: 0.04}), other])
    assert "differs in 2 (policy, lemica)" in differs and "first: policy / lemica." in differs
    assert agreement([first]) == []
    with pytest.raises(BadInputError, match="without the baseline uniform"):
        standings(made_up(0, lemica={3: 0.2, 5: 0.02}))


def test_close_methods_are_undecided_and_far_ones_ordered(run: RunResult, folder: Path) -> None:
    easy, hard = {0: 0.1, 1: 0.2, 2: 0.15, 3: 0.12}, {0: 0.9, 1: 1.1, 2: 1.3, 3: 0.8}
    near = {0: 0.12, 1: 0.18, 2: 0.13, 3: 0.14}
    means = {("a", 3): hard, ("b", 3): easy, ("c", 3): near, ("d", 5): easy}
    assert set(decided_pairs(means, ["a", "b", "c", "d"], [3], samples=200, seed=0)) == {("b", "a"), ("c", "a")}
    assert run.decided is not None and all({*pair} <= {each.method for each in run.methods} for pair in run.decided)


def test_runs_agree_in_what_both_decide_though_close_methods_change_places() -> None:
    first = made_up(0, uniform={3: 0.2, 5: 0.05}, lemica={3: 0.11, 5: 0.04})
    second = made_up(1, uniform={3: 0.2, 5: 0.05}, lemica={3: 0.09, 5: 0.04})
    order = (("policy", "uniform"), ("lemica", "uniform"))
    (same,) = agreement([dataclasses.replace(run, decided=order) for run in (first, second)])
    assert "differs in 2" in same and "Of the 3 pairs of these methods, 2 are decided in every run, all of" in same
    turned = dataclasses.replace(second, decided=(("uniform", "policy"), ("lemica", "uniform"), ("lemica", "policy")))
    (told,) = agreement([dataclasses.replace(first, decided=order), turned])
    assert "1 of them not the same way (in the first: policy before uniform)" in told
    (unknown,) = agreement([dataclasses.replace(first, decided=order), second])
    assert "pairs" not in unknown


def test_only_the_section_between_the_marks_changes() -> None:
    other = "<!-- results:begin b --><!-- results:end b -->"
    text = f"before\n<!-- results:begin a -->\nold\n<!-- results:end a -->\nafter {other}\n"
    assert read_section(text, "a") == "old\n" and read_section(text, "c") is None
    new = replace_section(text, "a", "new\n\ntable\n")
    assert read_section(new, "a") == "new\n\ntable\n"
    assert new.replace("new\n\ntable", "old") == text
    assert replace_section(new, "a", "new\n\ntable\n") == new
    for broken in (text.replace("<!-- results:end a -->", ""), text + "<!-- results:begin a -->"):
        with pytest.raises(BadInputError, match="section a: needs the lines"):
            read_section(broken, "a")
    with pytest.raises(BadInputError, match="no section c"):
        replace_section(text, "c", "new")


def test_a_folder_that_is_no_evaluated_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"has no schedules\.json; finish and evaluate the run"):
        collect_run(tmp_path, "", bootstrap_samples=100)


def test_the_picture_has_a_panel_per_mechanism(run: RunResult, tmp_path: Path) -> None:
    from PIL import Image

    runs = (run, dataclasses.replace(run, seed=1), dataclasses.replace(run, mechanism="newton2"))
    widths = [Image.open(plot_results(Results("m", "c", runs[:n]), tmp_path / f"{n}.png")).width for n in (1, 2, 3)]
    assert widths[0] == widths[1] < widths[2]
