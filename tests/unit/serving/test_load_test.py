"""The load test against a small server that answers rightly, wrongly or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recache_ray.errors import BadInputError
from recache_ray.serving.load_test import run_load


@contextmanager
def server(computed: Callable[[int], int], status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._send(200, json.dumps({"budgets": [3, 5, 10]}).encode(), {})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {"x-recache-computed-steps": str(computed(asked["budget"])), "x-recache-batch": "2"}
            self._send(status, b"\x89PNG\r\n\x1a\n", headers)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def test_right_answers_pass_and_are_listed_by_budget() -> None:
    with server(lambda budget: budget) as url:
        report = run_load(url, clients=4, seconds=0.3, seed=0)
    assert report.passed and {each.budget for each in report.answers} == {3, 5, 10}
    assert "2.0 to a batch; each computed the steps of its budget" in report.text()
    assert [line.split()[0] for line in report.text().splitlines()[1:4]] == ["3", "5", "10"]


def test_a_wrong_number_of_steps_or_a_refusal_fails() -> None:
    with server(lambda budget: 3) as url:
        report = run_load(url, clients=2, seconds=0.3, seed=0)
    assert not report.passed and "budget 5: 3 steps computed" in report.text()
    with server(lambda budget: budget, status=503) as url:
        report = run_load(url, clients=1, seconds=0.1, seed=0)
    assert not report.passed and not report.answers and "status 503" in report.text()


def test_where_nothing_listens_it_says_how_to_start_a_server() -> None:
    for url in ("http://127.0.0.1:1", "https://127.0.0.1", "nonsense"):
        with pytest.raises(BadInputError, match=r"load\.url = "):
            run_load(url, clients=1, seconds=0.1, seed=0)
