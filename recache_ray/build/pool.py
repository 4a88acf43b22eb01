"""The configured pool of rollout workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from recache_ray.build.progress import OnProgress
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.rollouts.pool import RolloutPool


def check_runtime(config: Config) -> None:
    """Refuse what this process cannot offer, before anything is started.

    Raises:
        BadInputError: if GPUs are asked of the in-process pool and there is none.
    """
    if config.runtime.kind != "inline" or config.runtime.gpus_per_worker == 0:
        return
    import torch

    if config.runtime.gpus_per_worker > torch.cuda.device_count():
        raise BadInputError(
            f"runtime.gpus_per_worker = {config.runtime.gpus_per_worker:g}: this machine has "
            f"{torch.cuda.device_count()} GPUs; set runtime.gpus_per_worker=0 or run on a machine with GPUs"
        )


@contextmanager
def open_pool(config: Config, on_status: OnProgress) -> Iterator[RolloutPool]:
    """A pool in the process that calls this, closed at the end; connects to Ray where nothing has yet.

    Raises:
        BadInputError, RunFailedError: if the workers cannot start.
    """
    from recache_ray.build.node_worker import make_node_worker, store_mark
    from recache_ray.build.worker import make_worker

    check_runtime(config)
    if config.runtime.kind == "inline":
        from recache_ray.rollouts.inline import InlinePool

        pool: RolloutPool = InlinePool(make_worker(config, "inline"))
        try:
            yield pool
        finally:
            pool.close()
        return
    from recache_ray.distributed.cluster import connect
    from recache_ray.distributed.ray_pool import RayPool
    from recache_ray.distributed.rollout_host import WorkerFactory

    with ExitStack() as stack:
        stack.enter_context(connect(config.runtime, on_status))
        factory: WorkerFactory = partial(make_worker, config)
        if config.runtime.address:
            factory = partial(make_node_worker, config, stack.enter_context(store_mark(config.references.dir)))
        pool = RayPool(factory, config.runtime, on_status)
        try:
            yield pool
        finally:
            pool.close()
