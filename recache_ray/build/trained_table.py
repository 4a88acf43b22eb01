"""The schedule table that a finished run left in its folder; read without torch."""

from __future__ import annotations

from pathlib import Path

from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.schedules import ScheduleTable


def load_table(config: Config) -> ScheduleTable:
    """``run.dir/schedules.json``.

    Raises:
        BadInputError: if the run has not finished or the file is damaged.
    """
    path = Path(config.run.dir) / "schedules.json"
    if not path.exists():
        raise BadInputError(
            f"run.dir = {config.run.dir!r}: has no schedules.json yet; "
            f"finish the run: recache train run.dir={config.run.dir}"
        )
    return ScheduleTable.load(path)
