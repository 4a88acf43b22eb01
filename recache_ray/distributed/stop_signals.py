"""Ctrl-C and SIGTERM: as a request to end well, as an order the second time, and kept from Ray."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets while the block runs; the second raises KeyboardInterrupt.

    Outside the main thread, where Python allows no handlers, the event is never set.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signal_handlers_kept() -> Iterator[None]:
    """Give SIGINT and SIGTERM back to whom they belonged before the block.

    ``ray.init`` puts handlers of its own below Python's, which end the process at once with a native stack trace.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set from Python, which cannot set it again
                signal.signal(number, handler)
