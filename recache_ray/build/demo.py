"""The verb ``demo``: a page on this machine with the run's model and schedules."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from recache_ray.build.offer import make_offer
from recache_ray.build.quick_imports import quick_imports
from recache_ray.config.root import Config
from recache_ray.serving.comparer_process import ComparerProcess
from recache_ray.serving.page import build_page, check_gradio, launch_page

if TYPE_CHECKING:
    from recache_ray.serving.comparison import Comparer


def demo(config: Config) -> str:
    """Serve the page until interrupted.

    Raises:
        BadInputError: if the run is not trained, its model cannot be used, gradio is missing or the port is in use.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    check_gradio()
    offer = make_offer(config)
    with closing(ComparerProcess(partial(_make_comparer, config))) as comparer:
        page = build_page(comparer, offer, config.demo.prompt)
        comparer.wait()
        launch_page(page, config.demo.port)
    return ""


def _make_comparer(config: Config) -> Comparer:
    with quick_imports():
        from recache_ray.build.picture_engine import make_engine
        from recache_ray.metrics.perceptual import LpipsMetric
        from recache_ray.serving.comparison import Comparer

        engine = make_engine(config)
        lpips = LpipsMetric(config.reward.lpips_net, config.reward.lpips_weights, engine.device)
    return Comparer(engine, lpips)
