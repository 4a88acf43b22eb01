"""The HTTP side of a picture server: JSON in, PNG out, and a reason with every refusal.

``POST /`` draws; ``GET /`` says what is served. A refusal is JSON, ``{"error": "..."}``.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from recache_ray.errors import BadInputError, RecacheError
from recache_ray.serving.request import Offer, PictureRequest, parse_request

if TYPE_CHECKING:
    from recache_ray.serving.drawn_picture import DrawnPicture

LARGEST_BODY = 64 * 1024
"""Bytes; a prompt is text."""

COMPUTED_HEADER = "x-recache-computed-steps"
BUDGET_HEADER = "x-recache-budget"
_LOG = logging.getLogger(__name__)

Draw = Callable[[PictureRequest], Awaitable["DrawnPicture | RecacheError"]]


async def answer(request: Request, offer: Offer, draw: Draw) -> Response:
    """The response to one request; nothing that a client sends raises.

    A picture comes with the steps that were computed for it and those its budget allowed, the seconds of its batch and
    how many shared it, in headers ``x-recache-*``.
    """
    if request.url.path != "/":
        return _refusal(404, f"{request.url.path[:80]}: nothing here; POST a request to /")
    if request.method == "GET":
        return JSONResponse(describe(offer))
    if request.method != "POST":
        return _refusal(405, f"{request.method}: use POST for a picture, GET for what is served")
    try:
        wanted = parse_request(_document(await _body(request)), offer)
    except _TooLargeError as error:
        return _refusal(413, str(error))
    except BadInputError as error:
        return _refusal(400, str(error))
    try:
        drawn = await draw(wanted)
    except Exception:
        _LOG.exception("a batch failed")
        return _refusal(500, "the picture could not be drawn; the server's log says why")
    if isinstance(drawn, RecacheError):
        return _refusal(422, str(drawn))
    headers = {
        COMPUTED_HEADER: str(drawn.computed_steps),
        BUDGET_HEADER: str(wanted.schedule.budget),
        "x-recache-num-steps": str(wanted.schedule.num_steps),
        "x-recache-seconds": f"{drawn.seconds:.4f}",
        "x-recache-batch": str(drawn.batch),
    }
    return Response(_png(drawn), media_type="image/png", headers=headers)


def describe(offer: Offer) -> dict[str, Any]:
    """What a client may ask for."""
    return {
        "model": offer.table.model.get("id"),
        "mechanism": offer.table.mechanism.get("id"),
        "num_steps": offer.table.num_steps,
        "budgets": [*offer.table.budgets, offer.table.num_steps],
        "width": offer.width,
        "height": offer.height,
        "max_prompt_chars": offer.max_prompt_chars,
    }


class _TooLargeError(RecacheError):
    pass


async def _body(request: Request) -> bytes:
    received = b""
    async for chunk in request.stream():
        received += chunk
        if len(received) > LARGEST_BODY:
            raise _TooLargeError(f"request of more than {LARGEST_BODY} bytes: send a prompt, not a document")
    return received


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"request: is not JSON ({' '.join(str(error).split())[:120]})") from error


def _png(drawn: DrawnPicture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(drawn.image).save(stream, "PNG")
    return stream.getvalue()


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status_code=status)
