"""What a trained run offers to those who ask for pictures; known without torch."""

from __future__ import annotations

from pathlib import Path

from recache_ray.build.model_check import check_model
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.schedules import ScheduleTable
from recache_ray.serving.request import Offer


def make_offer(config: Config) -> Offer:
    """What the run's schedules were learned for.

    Raises:
        BadInputError: if the model is not there, the run has not finished or its table is damaged.
    """
    check_model(config)
    path = Path(config.run.dir) / "schedules.json"
    if not path.exists():
        raise BadInputError(
            f"run.dir = {config.run.dir!r}: has no schedules.json yet; "
            f"finish the run: recache train run.dir={config.run.dir}"
        )
    table = ScheduleTable.load(path)
    return Offer(table, config.model.width, config.model.height, config.serve.max_prompt_chars)
