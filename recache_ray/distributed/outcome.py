"""What comes back from another process: a value, or an error of ours, and the warnings logged on the way.

Ray would wrap an exception in its own class with a remote traceback, and some exceptions do not survive pickling.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recache_ray.errors import RecacheError
from recache_ray.tracking.names import without_secrets


@dataclass(frozen=True)
class RemoteError:
    """An exception as data.

    Attributes:
        kind: its class where it is one of ours, else None: a defect or a broken machine.
        message: one line.
        details: the traceback, for defects only.
    """

    kind: type[RecacheError] | None
    message: str
    details: str = ""

    @classmethod
    def of(cls, error: Exception) -> RemoteError:
        if isinstance(error, RecacheError):
            return cls(type(error), without_secrets(str(error)))
        return cls(None, one_line(error), without_secrets("".join(traceback.format_exception(error))))

    def exception(self) -> RecacheError | None:
        """The same class with the same message; None for a defect."""
        if self.kind is None:
            return None
        error = self.kind.__new__(self.kind)  # subclasses may take other arguments than the message
        error.args = (self.message,)
        return error


@dataclass(frozen=True)
class Outcome:
    """What a call gave: ``error`` is None where it went well."""

    value: Any = None
    error: RemoteError | None = None
    warnings: tuple[str, ...] = ()


def capture(call: Callable[[], Any]) -> Outcome:
    """Run ``call`` and return whatever happens as data."""
    collector = _Collector()
    logger = logging.getLogger("recache_ray")
    logger.addHandler(collector)
    try:
        return Outcome(value=call(), warnings=tuple(collector.lines))
    except Exception as error:
        return Outcome(error=RemoteError.of(error), warnings=tuple(collector.lines))
    finally:
        logger.removeHandler(collector)


def one_line(error: BaseException, limit: int = 300) -> str:
    """Class and message of an exception in at most ``limit`` characters, without line breaks and secrets."""
    text = without_secrets(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"[:limit] if text else type(error).__name__


class _Collector(logging.Handler):
    """Keeps warnings of this package: a remote process has no terminal to show them on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(without_secrets(record.getMessage()))
