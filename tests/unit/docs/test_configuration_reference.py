"""The committed reference is the one the dataclasses give."""

from __future__ import annotations

from pathlib import Path

from recache_ray.cli.catalogue import settings
from recache_ray.cli.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_up_to_date_and_whole() -> None:
    text = reference()
    assert PAGE.read_text(encoding="utf-8") == text, "run: python -m recache_ray.cli.reference > docs/configuration.md"
    assert [path for path in settings() if f"| `{path}` |" not in text] == []
