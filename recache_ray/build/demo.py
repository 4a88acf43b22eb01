"""The verb ``demo``: a page on this machine with the run's model and schedules."""

from __future__ import annotations

import os

from recache_ray.build.picture_engine import make_engine, make_offer
from recache_ray.build.quick_imports import quick_imports
from recache_ray.build.trained_run import load_trained
from recache_ray.config.root import Config
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.serving.comparison import Comparer
from recache_ray.serving.page import build_page, launch_page


def demo(config: Config) -> str:
    """Serve the page until interrupted.

    Raises:
        BadInputError: if the run is not trained, gradio is missing or the port is in use.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    table, _ = load_trained(config)
    with quick_imports():
        engine = make_engine(config)
    lpips = LpipsMetric(config.reward.lpips_net, config.reward.lpips_weights, engine.device)
    page = build_page(Comparer(engine, lpips), make_offer(config, table), config.demo.prompt)
    launch_page(page, config.demo.port)
    return ""
