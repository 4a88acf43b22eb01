"""The engine behind the page and the server, from a run's configuration."""

from __future__ import annotations

from recache_ray.build.adapter import make_adapter
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.build.model_check import check_model
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.root import Config
from recache_ray.serving.engine import PictureEngine


def make_engine(config: Config) -> PictureEngine:
    """Model and mechanism of the run, in this process.

    Raises:
        BadInputError: if the model cannot be loaded, or makes videos, or the mechanism does not batch.
    """
    check_model(config)
    adapter = make_adapter(config)
    adapter.load_text_encoders()
    return PictureEngine(adapter, build_mechanism(mechanism_spec(config)))
