"""The committed notebooks show their results without being run, and run offline, leaving nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from execution import NOTEBOOKS, ROOT, executed
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from page_faults import page_faults

MOST_BYTES = 700_000
PICTURE = new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 700x340>"})


def name_of(path: Path) -> str:
    return path.stem


def test_there_are_three() -> None:
    assert [path.name[:3] for path in NOTEBOOKS] == ["01_", "02_", "03_"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_what_is_committed_can_be_read_without_running_it(path: Path) -> None:
    assert page_faults(nbformat.read(path, as_version=4)) == []
    assert path.stat().st_size < MOST_BYTES


def files_beside() -> set[Path]:
    """What a careless cell would leave: entries of the repository's root, and all of notebooks/."""
    return {*ROOT.iterdir(), *(ROOT / "notebooks").rglob("*")}


@pytest.mark.integration
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_it_runs_and_leaves_nothing_behind(path: Path) -> None:
    before, source = files_beside(), path.read_bytes()
    assert page_faults(executed(path)) == []
    assert files_beside() == before and path.read_bytes() == source


def notebook_with(*outputs: Any, count: int = 1, source: str = "1 + 1") -> Any:
    cell = new_code_cell(source, execution_count=count, outputs=[PICTURE, *outputs])
    return new_notebook(cells=[new_markdown_cell("# Title"), cell])


def printed(text: str, stream: str = "stdout") -> Any:
    return new_output("stream", name=stream, text=text)


@pytest.mark.parametrize(
    ("notebook", "fault"),
    [
        (notebook_with(count=2), "not run from top to bottom"),
        (notebook_with(new_output("error", ename="ValueError", evalue="x", traceback=[])), "ends with ValueError"),
        (notebook_with(printed("loading", "stderr")), "writes to stderr"),
        (notebook_with(printed("wrote /home/ann/runs/x.json")), "/home/ann"),
        (notebook_with(printed("see '/tmp/tmpab12/out.png'")), "/tmp/tmpab12"),
        (notebook_with(new_output("execute_result", data={"text/html": "<td>/root/x</td>"})), "/root/x"),
        (notebook_with(printed("UserWarning: no")), "UserWarning"),
        (notebook_with(printed("[WARNING] no")), "shows a warning"),
        (notebook_with(source="open('/mnt/data.csv')"), "/mnt/data.csv"),
        (new_notebook(cells=[new_code_cell("1", execution_count=1)]), "no picture"),
    ],
)
def test_the_check_finds_what_it_is_for(notebook: Any, fault: str) -> None:
    (found,) = page_faults(notebook)
    assert fault in found


def test_relative_paths_and_links_are_no_fault() -> None:
    assert page_faults(notebook_with(printed("wrote runs/tour/export/cache_dit.yaml, see ../docs/tmp/x"))) == []
