import base64
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from report_runs import inputs_of

from recache_ray.errors import BadInputError
from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.evaluation.report.page import render_page
from recache_ray.testing.evaluated_run import write_evaluated_run

_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")
_VOID = {"meta", "link", "img", "input", "br", "wbr"}


class Checker(HTMLParser):
    """Collects what a page would load and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loads += [values[name] or "" for name in ("src", "href", "srcset", "data", "action") if name in values]
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(inputs: ReportInputs) -> str:
    return render_page(inputs)


def test_the_page_asks_for_nothing(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert checker.loads and all(target.startswith("data:") for target in checker.loads)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttpRequest|import\(", page)


def test_the_page_is_complete_without_scripts(page: str, inputs: ReportInputs) -> None:
    for heading in ("Quality over compute", "Pictures at this budget", "Ours / rival", "Which steps", "Make it again"):
        assert heading in page
    assert page.count('data-metric="lpips" class="on"') >= 2
    assert "recache train" in page and "abacus" in page and "numpy" in page
    assert page.count('class="error"') == 3 * 2 * len(inputs.budgets)


def test_videos_are_films_that_one_player_moves(tmp_path: Path, page: str) -> None:
    films = render_page(inputs_of(write_evaluated_run(tmp_path / "run", budgets=(3, 5), prompts=4, frames=6)))
    checker = Checker()
    checker.feed(films)
    assert checker.open == [] and all(target.startswith("data:") for target in checker.loads)
    pictures = 3 * (1 + 2 * 2 * 2)  # prompts x (reference + roles x budgets x (picture, error))
    assert films.count('<div class="film" style="--frames: 6">') == pictures
    assert films.count('id="player"') == 1 and 'max="5"' in films
    widths = {Image.open(io.BytesIO(base64.b64decode(each))).size for each in _PNG.findall(films)}
    assert widths == {(6 * 48, 48)}
    assert 'id="player"' not in page and 'class="film"' not in page


def test_names_from_outside_cannot_become_markup(run_folder: Path, tmp_path: Path) -> None:
    evil = tmp_path / "<script>alert(1)<!--"
    shutil.copytree(run_folder, evil)
    page = render_page(inputs_of(evil))
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("name", ["frontier.parquet", "samples.parquet", "pictures.parquet"])
def test_a_run_that_was_not_evaluated_or_is_damaged_is_one_line(name: str, run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    file = folder / "evaluation" / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadInputError, match="run recache evaluate") as damaged:
        inputs_of(folder)
    file.unlink()
    with pytest.raises(
        BadInputError, match=f"has no evaluation/{name}; evaluate it first: recache evaluate"
    ) as missing:
        inputs_of(folder)
    assert "\n" not in str(damaged.value) + str(missing.value)


def test_files_of_two_evaluations_are_refused(run_folder: Path, tmp_path: Path) -> None:
    from recache_ray.evaluation.samples import SAMPLES

    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    path = folder / "evaluation" / "samples.parquet"
    SAMPLES.write(SAMPLES.read(path)[:-1], path)
    with pytest.raises(BadInputError, match="are of two evaluations; write them again: recache evaluate"):
        inputs_of(folder)


def test_a_run_without_metrics_has_a_page_and_a_damaged_record_is_said(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "metrics.jsonl").unlink()
    assert "holds no policy update" in render_page(inputs_of(folder))
    (folder / "metrics.jsonl").write_text("not json\n")
    with pytest.raises(BadInputError, match=r"metrics\.jsonl: not a metrics\.jsonl"):
        inputs_of(folder)
