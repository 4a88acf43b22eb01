"""Jobs of a Ray cluster, through its job server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from recache_ray.distributed.join_errors import why_not_joined
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.tracking.names import without_secrets

# What a cluster says whose head was started moments ago; it takes jobs a little later.
_STARTING = "No available agent"
_STARTING_S = 60.0
_LOOK_S = 1.0


class JobServer:
    """The job server at an address, ``http://host:port``.

    Raises:
        BadInputError: if none answers there, or it refuses the token from here.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._client = JobSubmissionClient(address)
        except AuthenticationError as error:
            raise BadInputError(f"submit.server = {address!r}: {why_not_joined(error)}") from error
        except (ConnectionError, RuntimeError, ValueError) as error:
            text = without_secrets(" ".join(str(error).split()))[:200]
            raise BadInputError(
                f"submit.server = {address!r}: no job server answers there ({text}); open the tunnel with "
                "ray dashboard CLUSTER.yaml, or give the address of the dashboard"
            ) from error

    def submit(self, entrypoint: str, runtime_env: Mapping[str, Any], job_id: str) -> str:
        """Start a job and return its id.

        Args:
            entrypoint: a shell command, run on the head.
            runtime_env: its environment.
            job_id: must be new; empty draws one.

        A cluster that has just been started is waited for.

        Raises:
            BadInputError: if the server refuses the id or the environment.
        """
        patience = time.monotonic() + _STARTING_S
        while True:
            try:
                return self._client.submit_job(
                    entrypoint=entrypoint, runtime_env=dict(runtime_env), submission_id=job_id or None
                )
            except (RuntimeError, ValueError) as error:
                if _STARTING not in str(error) or time.monotonic() > patience:
                    lines = [line.strip() for line in without_secrets(str(error)).splitlines() if line.strip()]
                    reason = lines[-1] if lines else type(error).__name__
                    raise BadInputError(
                        f"submit.job_id = {job_id!r}: the job server refuses the job ({reason[:300]}); take another "
                        "id, or correct submit.runtime_env"
                    ) from error
            time.sleep(_LOOK_S)

    def follow(self, job_id: str, on_text: Callable[[str], None]) -> None:
        """Pass on what the job writes until it ends.

        Raises:
            RunFailedError: if it did not end well.
        """

        async def tail() -> None:
            async for text in self._client.tail_job_logs(job_id):
                on_text(text)

        asyncio.run(tail())
        status = self._client.get_job_status(job_id)
        if status is not JobStatus.SUCCEEDED:
            said = without_secrets(" ".join((self._client.get_job_info(job_id).message or "").split()))[:300]
            raise RunFailedError(f"job {job_id} ended as {status.value} ({said}); see ray job logs {job_id}")
