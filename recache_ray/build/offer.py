"""What a trained run offers to those who ask for pictures; known without torch."""

from __future__ import annotations

from recache_ray.build.model_check import check_model
from recache_ray.build.trained_table import load_table
from recache_ray.config.root import Config
from recache_ray.serving.request import Offer


def make_offer(config: Config) -> Offer:
    """What the run's schedules were learned for.

    Raises:
        BadInputError: if the model is not there, the run has not finished or its table is damaged.
    """
    check_model(config)
    return Offer(load_table(config), config.model.width, config.model.height, config.serve.max_prompt_chars)
