"""A job in an actor of its own, watched from the driver: Ctrl-C ends it well, its death does not end the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recache_ray.distributed.learner_host import JobFactory, LearnerHost
from recache_ray.distributed.outcome import Outcome
from recache_ray.distributed.ray_errors import cause
from recache_ray.distributed.stop_signals import stop_signals
from recache_ray.errors import RunFailedError

_LOG = logging.getLogger(__name__)
_THREADS = 3  # the job, drain, request_stop


def run_in_actor(
    job_factory: JobFactory,
    on_progress: Callable[[Any], None],
    *,
    poll_s: float = 0.5,
    max_restarts: int = 3,
    grace_s: float = 120.0,
) -> Any:
    """Run a job in an actor on this machine and return what it returns.

    The first Ctrl-C or SIGTERM asks the job to stop and waits for its end; the second, or ``grace_s`` without an end,
    kills it. If the actor dies, the job is started again and must resume from what it saved.

    Args:
        job_factory: makes the job inside the actor.
        on_progress: receives everything the job reports, and lines of text about the actor itself.
        poll_s: seconds between looks at the job.
        max_restarts: deaths of the actor survived.
        grace_s: seconds a job may take to stop.

    Raises:
        RecacheError: that the job raised, same class and message.
        RunFailedError: if the job failed in another way, or its process died too often.
        KeyboardInterrupt: if the job was killed because it was asked to stop.
    """
    with stop_signals() as stop:
        deaths = 0
        while True:
            actor = _start(job_factory)
            try:
                outcome = _watch(actor, on_progress, stop.is_set, poll_s, grace_s)
                break
            except RayActorError as error:
                deaths += 1
                if stop.is_set():
                    raise KeyboardInterrupt from error
                if deaths > max_restarts:
                    raise RunFailedError(
                        f"the learner's process died {deaths} times, the last: {cause(error)}; "
                        "run the same command again to resume from the last checkpoint"
                    ) from error
                on_progress(f"the learner's process died ({cause(error)}); resuming, try {deaths} of {max_restarts}")
            finally:
                ray.kill(actor)
    return _result(outcome)


def _start(job_factory: JobFactory) -> Any:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # run.dir is here
    return (
        ray.remote(LearnerHost)
        .options(
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_THREADS,
            scheduling_strategy=here,
        )
        .remote(job_factory, str(Path.cwd()))
    )


def _watch(
    actor: Any, on_progress: Callable[[Any], None], stopped: Callable[[], bool], poll_s: float, grace_s: float
) -> Outcome:
    running = actor.run.remote()
    give_up_at = float("inf")
    while True:
        done, _ = ray.wait([running], timeout=poll_s)
        outcome = ray.get(running) if done else None
        for event in ray.get(actor.drain.remote()):
            on_progress(event)
        if outcome is not None:
            return outcome
        if not stopped():
            continue
        if give_up_at == float("inf"):
            actor.request_stop.remote()
            give_up_at = time.monotonic() + grace_s
        elif time.monotonic() >= give_up_at:
            raise KeyboardInterrupt(f"the job did not stop within {grace_s:g} s")


def _result(outcome: Outcome) -> Any:
    for line in outcome.warnings:
        _LOG.warning("%s", line)
    if outcome.error is None:
        return outcome.value
    error = outcome.error.exception()
    if error is not None:
        raise error
    _LOG.error("the learner met a defect:\n%s", outcome.error.details)
    raise RunFailedError(
        f"the run stopped on a defect ({outcome.error.message}); what was checkpointed is intact: report it with the "
        "traceback above, or run the same command again to resume"
    )
