"""No folder of tests is passed over: pytest leaves out folders by name, "build" among them unless told otherwise."""

from fnmatch import fnmatch
from pathlib import Path

import pytest


def test_every_folder_with_tests_is_collected(pytestconfig: pytest.Config) -> None:
    root = Path(__file__).resolve().parents[1]
    folders = {part for file in root.rglob("test_*.py") for part in file.relative_to(root).parent.parts}
    left_out = [name for name in folders for pattern in pytestconfig.getini("norecursedirs") if fnmatch(name, pattern)]
    assert {"unit", "build"} <= folders and not left_out
