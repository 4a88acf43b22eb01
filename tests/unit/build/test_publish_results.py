"""The verb ``results`` on synthetic runs."""

import shutil
from pathlib import Path

import pytest

from recache_ray.cli.main import main
from recache_ray.evaluation.results.records import RunResult, read_results
from recache_ray.evaluation.results.section import read_section
from recache_ray.testing.evaluated_run import write_evaluated_run


def test_the_verb_writes_every_file_and_the_readme_and_repeats_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [write_evaluated_run(tmp_path / name, prompts=3, budgets=(3, 5)) for name in ("one", "two")]
    readme = tmp_path / "README.md"
    command = [
        "results", f"results.runs=[{runs[0]},{runs[1]}]", "results.name=both", f"results.dir={tmp_path / 'results'}",
        f"results.readme={readme}", "evaluation.bootstrap_samples=100",
    ]  # fmt: skip
    assert main(command) == 0
    assert "has no section for them: add the lines <!-- results:begin both -->" in capsys.readouterr().out
    readme.write_text("# mine\n\n<!-- results:begin both -->\n<!-- results:end both -->\n\nthe end\n")
    assert main(command) == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    assert set(written) == {"both.json", "both.csv", "both.md", "both.png"}
    text = readme.read_text()
    assert text.startswith("# mine\n") and text.endswith("\nthe end\n")
    section = read_section(text, "both")
    assert section is not None and "(results/both.png)" in section and "(results/both.md)" in section
    page = (tmp_path / "results" / "both.md").read_text()
    assert page.startswith("# both\n") and "(both.png)" in page
    assert main(command) == 0
    assert readme.read_text() == text
    assert {name: (tmp_path / "results" / name).read_bytes() for name in written} == written


def test_a_results_file_keeps_its_runs_but_those_made_anew(tmp_path: Path) -> None:
    def publish(*sources: Path) -> dict[str, RunResult]:
        runs = ",".join(map(str, sources))
        folder = tmp_path / "results"
        options = [
            f"results.dir={folder}",
            f"results.readme={tmp_path / 'none.md'}",
            "evaluation.bootstrap_samples=100",
        ]
        assert main(["results", f"results.runs=[{runs}]", "results.name=all", *options]) == 0
        return {run.title: run for run in read_results((folder / "all.json").read_text(), "all.json").runs}

    first = write_evaluated_run(tmp_path / "first", prompts=3, budgets=(3, 5))
    second = write_evaluated_run(tmp_path / "second", prompts=3, budgets=(3, 5), num_steps=24)
    before = publish(first, second)
    shutil.rmtree(second)
    anew = write_evaluated_run(tmp_path / "anew", prompts=4, budgets=(3, 5))
    third = write_evaluated_run(tmp_path / "third", prompts=3, budgets=(3, 5), num_steps=28)
    sources = (tmp_path / "results" / "all.json", anew, third)
    after = publish(*sources)
    assert list(after) == [*before, *(set(after) - set(before))] and len(after) == 3
    replaced, kept = before
    assert after[kept] == before[kept]
    assert after[replaced].num_prompts == 4 and before[replaced].num_prompts == 3
    assert publish(*sources) == after


def test_a_results_file_that_is_not_there_or_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gone.json"
    assert main(["results", f"results.runs=[{path}]"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    path.write_text("[]")
    assert main(["results", f"results.runs=[{path}]"]) == 2
    assert "not a results file" in capsys.readouterr().err


def test_a_run_without_evaluation_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_evaluated_run(tmp_path / "run", prompts=2, budgets=(3,))
    (folder / "evaluation" / "samples.parquet").unlink()
    assert main(["results", f"run.dir={folder}", f"results.dir={tmp_path / 'results'}"]) == 2
    assert "has no evaluation/samples.parquet" in capsys.readouterr().err
