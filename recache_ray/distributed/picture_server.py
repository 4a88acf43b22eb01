"""Ray Serve around a picture engine: a shell that batches requests of any budgets and hands them over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

from recache_ray.config.serving import ServeConfig
from recache_ray.errors import RecacheError, RunFailedError
from recache_ray.serving.http import answer
from recache_ray.serving.request import Offer, PictureRequest

if TYPE_CHECKING:
    from recache_ray.distributed.engine_host import HostedEngines
    from recache_ray.serving.drawn_picture import DrawnPicture
    from recache_ray.serving.engine import PictureEngine

APPLICATION = "recache_ray"


class PictureDeployment:
    """One replica: HTTP before an engine, which it makes or finds."""

    def __init__(
        self,
        make_engine: Callable[[], PictureEngine | HostedEngines],
        offer: Offer,
        max_batch: int,
        batch_wait_s: float,
    ) -> None:
        self._engine = make_engine()
        self._offer = offer
        batched: Any = self._draw
        batched.set_max_batch_size(max_batch)
        batched.set_batch_wait_timeout_s(batch_wait_s)

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.05)
    async def _draw(self, requests: list[PictureRequest]) -> list[DrawnPicture | RecacheError]:
        # off the event loop, which has to go on reading requests
        return await asyncio.to_thread(self._engine.draw, requests)

    async def __call__(self, request: Request) -> Response:
        batched: Any = self._draw
        return await answer(request, self._offer, batched)


def picture_application(
    make_engine: Callable[[], PictureEngine | HostedEngines], offer: Offer, section: ServeConfig, *, hosted: bool
) -> Any:
    """A Ray Serve application of ``section.replicas`` replicas.

    Args:
        make_engine: picklable; called in every replica.
        offer: what requests are checked against.
        section: replicas, their resources, batching and queues.
        hosted: whether the engines are elsewhere, with their resources.
    """
    resources = {"num_cpus": section.cpus_per_replica, "num_gpus": section.gpus_per_replica}
    shell: Any = serve.deployment(PictureDeployment)
    deployment = shell.options(
        name="pictures",
        num_replicas=section.replicas,
        ray_actor_options={"num_cpus": 0.0} if hosted else resources,
        # the next batch gathers while one is drawn
        max_ongoing_requests=2 * section.max_batch,
        max_queued_requests=section.max_queued,
    )
    return deployment.bind(make_engine, offer, section.max_batch, section.batch_wait_s)


def run_server(application: Any, section: ServeConfig, on_status: Callable[[str], None]) -> None:
    """Serve on the connected cluster until the process is interrupted, then take the application down.

    Raises:
        RunFailedError: if a replica does not start.
    """
    quiet = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.start(http_options=HTTPOptions(host=section.host, port=section.port), logging_config=quiet)
    try:
        try:
            serve.run(application, name=APPLICATION, route_prefix="/", logging_config=quiet)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise RunFailedError(
                f"the server did not start ({reason}); try the model first: recache generate"
            ) from error
        on_status(f"serving on http://{section.host}:{section.port}  (Ctrl-C ends it)")
        threading.Event().wait()
    finally:
        serve.shutdown()
