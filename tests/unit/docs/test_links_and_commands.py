"""Relative links of the documentation lead somewhere, and its commands name verbs and settings that exist."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from recache_ray.cli.catalogue import sections, settings
from recache_ray.cli.groups import groups
from recache_ray.cli.verbs import VERBS

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "docs", ROOT / "cluster")
NOTEBOOKS = (ROOT / "notebooks").glob("*.ipynb")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in folder.rglob("*.md")), *NOTEBOOKS])
_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_OPTIONS = ("--help", "--help-all", "--print-config", "--version")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    """A page's Markdown; of a notebook that of its Markdown cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def slug(heading: str) -> str:
    """The anchor that code-hosting pages give a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in {slug(line.lstrip("#")) for line in _headings(file)}):
            broken.append(target)
    return broken


def _headings(file: Path) -> list[str]:
    return re.findall(r"^#+ .*$", file.read_text(encoding="utf-8"), re.MULTILINE) if file.suffix == ".md" else []


def commands(text: str) -> Iterator[str]:
    """Lines of code blocks that call the console script, continuations joined."""
    for block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|\s|/)recache (.*)", line)
            if found:
                yield found[1]


def unknown_in(command: str) -> list[str]:
    """Words of a command that no verb, setting, group or spelling explains."""
    words = shlex.split(command, comments=True)
    verb = next((VERBS[" ".join(words[:n])] for n in (2, 1) if " ".join(words[:n]) in VERBS), None)
    if verb is None:
        return [] if words and words[0] in _OPTIONS else words[:2]
    known = {*settings(), *sections(), *groups(), *verb.spellings, "experiment"}
    rest = words[len(verb.name.split()) :]
    return [
        word
        for word in rest
        if word not in (*_OPTIONS, "...", "&&") and not ("=" in word and word.split("=")[0].lstrip("+") in known)
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_name_what_exists(page: Path) -> None:
    wrong = {command: bad for command in commands(text_of(page)) if (bad := unknown_in(command))}
    assert wrong == {}


def test_the_checks_find_what_they_are_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[x](#a-b-c) [y](#nowhere) [z](gone.md) [w](https://example.org/)\n", encoding="utf-8")
    assert broken_links(page) == ["#nowhere", "gone.md"]
    lines = (".venv/bin/recache train run.dir=a \\", "  run.dri=b", "recache trian", "recache generate prompt='a b' x")
    text = "\n".join(("```bash", *lines, "```", ""))
    assert [unknown_in(command) for command in commands(text)] == [["run.dri=b"], ["trian"], ["x"]]
    assert sum(len(list(commands(text_of(each)))) for each in PAGES) > 20
