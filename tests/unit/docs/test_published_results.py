"""What the README and docs/results say of runs is what the committed figures render to."""

from pathlib import Path

import pytest

from recache_ray.build.results import page_text, readme_text
from recache_ray.evaluation.results.records import read_results
from recache_ray.evaluation.results.section import read_section

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "docs" / "results").glob("*.json"))


def test_there_are_results_and_the_readme_shows_those_of_the_main_job() -> None:
    assert read_section((ROOT / "README.md").read_text(encoding="utf-8"), "main_job") is not None
    assert ROOT / "docs" / "results" / "main_job.json" in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tables_are_rendered_from_the_committed_figures(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    results = read_results(text, path.name)
    assert results.name == path.stem and results.to_json() == text
    picture = path.with_suffix(".png")
    assert picture.exists()
    assert path.with_suffix(".csv").read_text(encoding="utf-8") == results.to_csv()
    page = path.with_suffix(".md")
    assert page.read_text(encoding="utf-8") == page_text(results, picture)
    readme = ROOT / "README.md"
    section = read_section(readme.read_text(encoding="utf-8"), results.name)
    assert section is None or section == readme_text(results, readme, picture)
