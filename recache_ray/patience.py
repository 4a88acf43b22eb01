"""Waiting for a shared filesystem that is away for a moment: a server restarted, a network that dropped a mount."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

_LOG = logging.getLogger(__name__)
_Value = TypeVar("_Value")

# What a network filesystem says while its server cannot be reached. Not among them: a full disk, a refused access, a
# missing file, which waiting does not cure.
AWAY = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ECONNABORTED,
        errno.EREMOTEIO,
    }
)
PATIENCE_S = 120.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


def patiently(action: Callable[[], _Value], what: str) -> _Value:
    """Do something with files, again for up to ``PATIENCE_S`` while their filesystem is away.

    Args:
        action: may be begun again after it was cut off anywhere.
        what: for the warning, given once.

    Raises:
        OSError: any other one at once, and one of ``AWAY`` once patience has run out.

    Example: ``patiently(path.read_bytes, str(path))``.
    """
    deadline = time.monotonic() + PATIENCE_S
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return action()
        except OSError as error:
            if error.errno not in AWAY or time.monotonic() + pause_s > deadline:
                raise
            if pause_s == _FIRST_PAUSE_S:
                _LOG.warning("%s: %s; trying again for up to %g s", what, error.strerror or error, PATIENCE_S)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
