"""The training log: one JSON object per line, appended, and a progress line on the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Log = Callable[[dict[str, float | str]], None]


class Journal:
    """Appends records to a JSONL file and prints them; numbers are rounded to five significant digits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, record: dict[str, float | str]) -> None:
        rounded = {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in record.items()}
        with self._path.open("a") as file:
            file.write(json.dumps(rounded) + "\n")
        print("  ".join(f"{key}={value}" for key, value in rounded.items()), flush=True)
