"""Clients with mixed budgets against a running server: is every answer what was asked, and how long does it take?

Standard library only, so that the clients take little from the machine that also serves.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from recache_ray.errors import BadInputError

_PROMPTS = (
    "a large red circle on the left of a blue background",
    "a small green star on a black background",
    "two white triangles on a yellow background",
    "a blue square on the right of a striped red background",
)
_TIMEOUT_S = 120.0
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: the budget asked for, the steps computed for it, how long it took and with how many in its batch."""

    budget: int
    computed: int
    latency_s: float
    batch: int


@dataclass(slots=True)
class LoadReport:
    """What the clients saw.

    Attributes:
        answers: pictures, in no order.
        errors: reasons and how often, wrong step counts among them.
        seconds: from the first request to the last answer.
    """

    seconds: float = 0.0
    answers: list[Answered] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        """Whether there were answers and nothing went wrong."""
        return bool(self.answers) and not self.errors

    def text(self) -> str:
        """Latencies by budget, throughput, batches and errors, for people."""
        lines = [f"{'budget':>6}  {'answers':>7}  {'median':>8}  {'95%':>8}  {'longest':>8}"]
        by_budget: dict[int, list[float]] = {}
        for each in self.answers:
            by_budget.setdefault(each.budget, []).append(each.latency_s)
        for budget, latencies in sorted(by_budget.items()):
            latencies.sort()
            late = latencies[min(len(latencies) - 1, int(0.95 * len(latencies)))]
            median, longest = statistics.median(latencies), latencies[-1]
            lines.append(f"{budget:>6}  {len(latencies):>7}  {median:>6.2f} s  {late:>6.2f} s  {longest:>6.2f} s")
        if self.answers:
            batch = len(self.answers) / sum(1 / each.batch for each in self.answers)
            lines.append(
                f"{len(self.answers)} pictures in {self.seconds:.1f} s, {len(self.answers) / self.seconds:.1f} a second"
                f", {batch:.1f} to a batch; each computed the steps of its budget"
                if self.passed
                else f"{len(self.answers)} pictures in {self.seconds:.1f} s"
            )
        lines += [f"{count} x {reason}" for reason, count in self.errors.most_common(10)]
        return "\n".join(lines)


def run_load(url: str, clients: int, seconds: float, seed: int) -> LoadReport:
    """Let ``clients`` ask for pictures, each at a budget drawn for it, until ``seconds`` are over.

    Raises:
        BadInputError: if no picture server answers at ``url``.
    """
    place = urlsplit(url)
    if place.scheme != "http" or not place.hostname:
        raise BadInputError(f"load.url = {url!r}: must be http://HOST:PORT")
    host, port = place.hostname, place.port or 80
    offer = _offer(url, host, port)
    report, lock = LoadReport(), threading.Lock()
    started = time.monotonic()
    threads = [
        threading.Thread(target=_client, args=(host, port, offer, started + seconds, f"{seed}/{n}", report, lock))
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.seconds = time.monotonic() - started
    return report


def _offer(url: str, host: str, port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        offer: dict[str, Any] = json.loads(connection.getresponse().read())
        if not offer["budgets"]:
            raise ValueError("it serves no budget")
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        raise BadInputError(
            f"load.url = {url!r}: no picture server answers ({error}); start one: recache serve"
        ) from error
    finally:
        connection.close()
    return offer


def _client(
    host: str, port: int, offer: dict[str, Any], deadline: float, seed: str, report: LoadReport, lock: threading.Lock
) -> None:
    draw = random.Random(seed)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    while time.monotonic() < deadline:
        budget = draw.choice(offer["budgets"])
        body = json.dumps({"prompt": draw.choice(_PROMPTS), "seed": draw.randrange(1000), "budget": budget})
        asked = time.monotonic()
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            with lock:
                report.errors[f"no answer: {type(error).__name__}: {error}"] += 1
            connection.close()
            continue
        latency = time.monotonic() - asked
        computed = response.headers.get("x-recache-computed-steps")
        with lock:
            if response.status != 200 or not content.startswith(_PNG):
                report.errors[f"status {response.status}: {content[:120]!r}"] += 1
            elif computed != str(budget):
                report.errors[f"budget {budget}: {computed} steps computed"] += 1
            else:
                batch = int(response.headers.get("x-recache-batch", "1"))
                report.answers.append(Answered(budget, int(computed), latency, batch))
    connection.close()
