"""What a job server answers becomes one line that says what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from recache_ray.distributed.jobs import JobServer
from recache_ray.errors import BadInputError

TOKEN = "c" * 64


@contextmanager
def server(
    *,
    refuses: int = 0,
    jobs_answer: tuple[int, str] = (200, '{"job_id": "1", "submission_id": "a"}'),
    before: tuple[int, str] | None = None,
) -> Iterator[tuple[str, list[Any]]]:
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if refuses:
                self.answer(refuses, "Unauthorized")
            else:
                self.answer(200, json.dumps({"version": "4", "ray_version": "2.60.0", "ray_commit": "x"}))

        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(*(before if before and len(received) == 1 else jobs_answer))

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", received
    finally:
        http.shutdown()
        http.server_close()


@pytest.mark.parametrize(("status", "says"), [(401, "there is no token here"), (403, "the cluster refuses the token")])
def test_a_server_that_asks_for_a_token_is_understood(status: int, says: str) -> None:
    with server(refuses=status) as (address, _), pytest.raises(BadInputError) as caught:
        JobServer(address)
    message = str(caught.value)
    assert message.startswith(f"submit.server = '{address}': {says}")
    assert "set RAY_AUTH_MODE=token" in message and "\n" not in message


def test_the_job_is_sent_as_given() -> None:
    with server() as (address, received):
        job = JobServer(address).submit("recache train run.seed=1", {"env_vars": {"A": "1"}}, "a")
    assert job == "a"
    assert received[0]["entrypoint"] == "recache train run.seed=1"
    assert received[0]["submission_id"] == "a"
    assert received[0]["runtime_env"] == {"env_vars": {"A": "1"}}


def test_a_cluster_that_is_still_starting_gets_the_job_a_little_later() -> None:
    with server(before=(500, "No available agent to submit job, please try again later.")) as (address, received):
        assert JobServer(address).submit("recache train", {}, "a") == "a"
    assert len(received) == 2


def test_a_job_that_is_refused_says_why_in_one_line() -> None:
    trace = "Traceback (most recent call last):\n  File x\nValueError: Job with submission_id a already exists."
    with server(jobs_answer=(500, trace)) as (address, _), pytest.raises(BadInputError) as caught:
        JobServer(address).submit("recache train", {}, "a")
    message = str(caught.value)
    assert message.startswith(
        "submit.job_id = 'a': the job server refuses the job (ValueError: Job with submission_id a"
    )
    assert "\n" not in message
