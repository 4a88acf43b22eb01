"""A filesystem that is away is waited for; nothing else is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from recache_ray import patience
from recache_ray.patience import PATIENCE_S, patiently


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Time that passes only in sleeps."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience.time, "sleep", sleep)
    yield now


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN])
def test_what_is_away_is_tried_until_it_is_back(
    clock: list[float], caplog: pytest.LogCaptureFixture, code: int
) -> None:
    tries = []

    def action() -> str:
        tries.append(clock[0])
        if clock[0] < 60.0:
            raise OSError(code, os.strerror(code))
        return "back"

    assert patiently(action, "references/a") == "back"
    assert 60.0 <= clock[0] < 75.0 and len(tries) < 20
    (warning,) = [record.message for record in caplog.records]
    assert warning == f"references/a: {os.strerror(code)}; trying again for up to 120 s"


def test_patience_ends(clock: list[float]) -> None:
    def action() -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with pytest.raises(OSError, match="Stale"):
        patiently(action, "x")
    assert PATIENCE_S - 10.0 <= clock[0] <= PATIENCE_S


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), PermissionError(13, "no"), FileNotFoundError(2, "x")])
def test_what_waiting_does_not_cure_is_raised_at_once(clock: list[float], error: OSError) -> None:
    def action() -> None:
        raise error

    with pytest.raises(type(error)):
        patiently(action, "x")
    assert clock[0] == 0.0
