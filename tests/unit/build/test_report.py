"""The verb ``report`` on a synthetic run."""

from __future__ import annotations

from pathlib import Path

import pytest

from recache_ray.build.report import report
from recache_ray.cli.main import main
from recache_ray.config.root import load_config
from recache_ray.testing.evaluated_run import write_evaluated_run


def test_the_verb_writes_one_page_and_refuses_a_run_without_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_evaluated_run(tmp_path / "run", prompts=3, budgets=(3, 5))
    assert main(["report", f"run.dir={folder}", "evaluation.bootstrap_samples=100"]) == 0
    assert f"wrote {folder / 'report' / 'index.html'}" in capsys.readouterr().out
    assert [path.name for path in (folder / "report").iterdir()] == ["index.html"]
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    # searches of 3 and 5 computed steps: 150 * 8 forwards against the policy's 4,000
    assert "Search cost" in page and "<td>1,200</td><td>0.30</td>" in page

    for file in (folder / "evaluation").iterdir():
        file.unlink()
    assert main(["report", f"run.dir={folder}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and f"recache evaluate run.dir={folder}" in err
    (folder / "schedules.json").unlink()
    assert main(["report", f"run.dir={folder}"]) == 2
    assert "finish the run: recache train" in capsys.readouterr().err


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = write_evaluated_run(tmp_path / "run", prompts=3, budgets=(3,))
    config = load_config({"run": {"dir": str(folder)}, "evaluation": {"bootstrap_samples": 100}})
    pages = []
    for _ in range(2):
        report(config)
        pages.append((folder / "report" / "index.html").read_bytes())
    assert pages[0] == pages[1]
