"""The verb ``train``: run the job in this process or in a learner actor on Ray."""

from __future__ import annotations

from functools import partial

from recache_ray.build.model_check import check_model
from recache_ray.build.pool import check_runtime, open_pool
from recache_ray.build.progress import OnProgress
from recache_ray.build.training_job import TrainingJob, TrainOutcome
from recache_ray.config.root import Config
from recache_ray.distributed.stop_signals import stop_signals


def train(config: Config, on_progress: OnProgress) -> TrainOutcome:
    """Train as configured; returns after the final table or, interrupted, after a checkpoint.

    Raises:
        BadInputError, RunFailedError: as :meth:`TrainingJob.run`.
    """
    check_runtime(config)
    check_model(config)
    if config.runtime.kind == "inline":
        with stop_signals() as stop:
            return TrainingJob(config, open_pool).run(on_progress, stop)
    from recache_ray.distributed.cluster import connect
    from recache_ray.distributed.learner_actor import run_in_actor

    with connect(config.runtime):
        return run_in_actor(partial(TrainingJob, config, open_pool), on_progress)
