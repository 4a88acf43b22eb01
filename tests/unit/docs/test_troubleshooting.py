"""Every message that the troubleshooting page lists can still be raised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_ROW = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)
MESSAGES = [
    message
    for row in _ROW.findall((ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"))
    for message in re.findall(r"`([^`]+)`", row)
]
SOURCE = "".join(
    # literals that a line break splits are one message
    re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "recache_ray").rglob("*.py"))
)


def test_there_are_rows() -> None:
    assert len(MESSAGES) >= 15


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_exists(message: str) -> None:
    # N, T, X, Y and 2 stand for values
    pattern = re.escape(message)
    for value in ("N", "T", "X", "Y", "2"):
        pattern = re.sub(rf"(?<![A-Za-z\\]){value}(?![A-Za-z])", r"(?:\\{[^{}]*\\}|[^\\s]+)", pattern)
    assert re.search(pattern, SOURCE), message
