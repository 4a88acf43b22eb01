"""A job in an actor: results, errors, progress, Ctrl-C and death."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recache_ray.distributed.learner_actor import run_in_actor
from recache_ray.errors import RunFailedError
from recache_ray.testing.fake_job import TARGET, CountingJob, OddBudgetError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("cluster")]


def run(folder: Path, behaviour: str = "", *, delay_s: float = 0.02, **options: Any) -> tuple[Any, list[Any]]:
    events: list[Any] = options.pop("events", [])
    factory = partial(CountingJob, str(folder), behaviour, delay_s)
    on_progress = options.pop("on_progress", events.append)
    return run_in_actor(factory, on_progress, poll_s=0.05, **options), events


def counts(events: list[Any]) -> list[int]:
    return [event["done"] for event in events if isinstance(event, dict)]


def test_result_and_all_progress_arrive(tmp_path: Path) -> None:
    result, events = run(tmp_path)
    assert result == {"interrupted": False, "count": TARGET}
    assert counts(events) == list(range(1, TARGET + 1))
    assert os.getpid() not in {event["process"] for event in events}


@pytest.mark.parametrize(
    ("behaviour", "error", "message"),
    [
        ("odd budget", OddBudgetError, "budget = 5: must be even"),
        ("full disk", RunFailedError, "run.dir = /full: no space left; free some"),
    ],
)
def test_our_errors_keep_class_and_message(
    tmp_path: Path, behaviour: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        run(tmp_path, behaviour)
    assert type(caught.value) is error
    assert str(caught.value) == message


def test_a_defect_is_one_line_and_a_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RunFailedError, match=r"^the run stopped on a defect \(IndexError: list index out of range\)"):
        run(tmp_path, "defect")
    assert "_misbehave" in caplog.text


def test_a_dead_learner_is_started_again_and_resumes(tmp_path: Path) -> None:
    result, events = run(tmp_path, "die once")
    assert result == {"interrupted": False, "count": TARGET}
    assert counts(events)[-6:] == list(range(5, TARGET + 1))
    assert any(isinstance(event, str) and "resuming, try 1 of 3" in event for event in events)


def test_a_learner_that_always_dies_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match=r"^the learner's process died 2 times, the last: ActorDiedError[^\n]*$"):
        run(tmp_path, "die", max_restarts=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_job_with_its_state_saved(tmp_path: Path, number: int) -> None:
    before = signal.getsignal(number)

    def interrupt(event: Any) -> None:
        if event["done"] == 3:
            os.kill(os.getpid(), number)

    result, _ = run(tmp_path, delay_s=0.3, on_progress=interrupt)
    assert result["interrupted"]
    assert 3 <= result["count"] < TARGET
    assert (tmp_path / "count").read_text() == str(result["count"])
    assert signal.getsignal(number) is before
    assert run(tmp_path)[0] == {"interrupted": False, "count": TARGET}


def test_a_job_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    def interrupt(event: Any) -> None:
        if event["done"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "deaf", delay_s=0.5, grace_s=0.5, on_progress=interrupt)
    assert int((tmp_path / "count").read_text()) < TARGET
