"""The names users import, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import recache_ray as recache


def test_every_public_name_resolves() -> None:
    for name in recache.__all__:
        assert getattr(recache, name).__name__ == name
    assert set(recache.__all__) <= set(dir(recache))


def test_a_name_that_is_not_there_raises_as_a_module_would() -> None:
    try:
        recache.nothing  # type: ignore[attr-defined]  # noqa: B018
    except AttributeError as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("no AttributeError")


def test_schedules_load_without_torch(tmp_path: Path) -> None:
    table = recache.ScheduleTable(50, {7: recache.Schedule(50, (0, 1, 4, 9, 17, 28, 40))})
    table.save(tmp_path / "schedules.json")
    program = (
        "import sys, recache_ray as recache\n"
        f"table = recache.ScheduleTable.load({str(tmp_path / 'schedules.json')!r})\n"
        "print(table[7].budget, table.budgets, [m for m in ('torch', 'numpy', 'ray', 'hydra') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "7 (7,) []\n"
