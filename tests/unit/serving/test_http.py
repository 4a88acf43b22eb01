"""The HTTP side without a server: requests as ASGI hands them over."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

from recache_ray.errors import RecacheError, RunFailedError
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.serving.drawn_picture import DrawnPicture
from recache_ray.serving.http import LARGEST_BODY, answer
from recache_ray.serving.request import Offer, PictureRequest

TABLE = ScheduleTable(10, {3: Schedule(10, (0, 1, 5))}, {"id": "tiny"}, {"id": "taylor1"})
OFFER = Offer(TABLE, 8, 8, 100)
IMAGE = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)


def ask(body: bytes, method: str = "POST", path: str = "/", draw: Any = None) -> tuple[int, dict[str, str], bytes]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def good(request: PictureRequest) -> DrawnPicture | RecacheError:
        return DrawnPicture(IMAGE, request.schedule.budget, 0.5, 2)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "scheme": "http"}
    response = asyncio.run(answer(Request({**scope, "server": ("test", 80)}, receive), OFFER, draw or good))
    return response.status_code, dict(response.headers), bytes(response.body)


def test_a_picture_comes_as_png_with_its_steps() -> None:
    status, headers, body = ask(json.dumps({"prompt": "a cat", "budget": 3}).encode())
    assert status == 200 and headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(body))), IMAGE)
    steps = {name: headers[f"x-recache-{name}"] for name in ("computed-steps", "budget", "num-steps", "batch")}
    assert steps == {"computed-steps": "3", "budget": "3", "num-steps": "10", "batch": "2"}


def test_what_is_served_can_be_asked() -> None:
    status, _, body = ask(b"", method="GET")
    assert status == 200 and json.loads(body)["budgets"] == [3, 10] and json.loads(body)["width"] == 8


@pytest.mark.parametrize(
    ("body", "method", "path", "status", "reason"),
    [
        (b"{", "POST", "/", 400, "is not JSON"),
        (b"\xff", "POST", "/", 400, "is not JSON"),
        (b"[" * 60_000, "POST", "/", 400, "is not JSON"),
        (b"[]", "POST", "/", 400, "is a list"),
        (b"null", "POST", "/", 400, "is null"),
        (b'{"prompt": "a", "budget": 99}', "POST", "/", 400, "budget = 99"),
        (b'{"prompt": "a", "budget": 3, "width": 65536}', "POST", "/", 400, "width = 65536"),
        (b'{"prompt": "a", "budget": NaN}', "POST", "/", 400, "must be given as steps"),
        (b"x" * (LARGEST_BODY + 1), "POST", "/", 413, "bytes"),
        (b"", "DELETE", "/", 405, "use POST"),
        (b"{}", "POST", "/admin", 404, "nothing here"),
    ],
)
def test_refusals_say_why(body: bytes, method: str, path: str, status: int, reason: str) -> None:
    got, headers, answered = ask(body, method, path)
    assert got == status and headers["content-type"] == "application/json"
    assert reason in json.loads(answered)["error"]


def test_a_failed_picture_and_a_failed_batch_are_answers_too() -> None:
    async def unusable(request: PictureRequest) -> DrawnPicture | RecacheError:
        return RunFailedError("generation is not finite")

    async def broken(request: PictureRequest) -> DrawnPicture | RecacheError:
        raise RuntimeError("secret detail")

    good = b'{"prompt": "a", "budget": 3}'
    assert ask(good, draw=unusable)[0] == 422
    status, _, body = ask(good, draw=broken)
    assert status == 500 and b"secret" not in body
