"""A comparer in a process of its own, which imports and loads the model while the page's libraries are imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from recache_ray.errors import RunFailedError
from recache_ray.schedules import Schedule
from recache_ray.serving.compared import Compared

if TYPE_CHECKING:
    from recache_ray.serving.comparison import Comparer

_made: list[Comparer] = []
"""In that process: the comparer, once there is one."""


class ComparerProcess:
    """Compares like a :class:`Comparer`; the process begins at once and ends with this one.

    Args:
        make: picklable; called there.
    """

    def __init__(self, make: Callable[[], Comparer]) -> None:
        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin)
        self._loaded = self._process.submit(_load, make)

    def wait(self) -> None:
        """Return once the model is loaded.

        Raises:
            RecacheError: whatever ``make`` raised.
            RunFailedError: if the process ended.
        """
        try:
            self._loaded.result()
        except BrokenProcessPool as error:
            raise _ended() from error

    def compare(self, prompt: str, seed: int, schedule: Schedule) -> Compared:
        """See :meth:`Comparer.compare`.

        Raises:
            RecacheError: if a generation gives no picture, or the process ended.
        """
        try:
            return self._process.submit(_compare, prompt, seed, schedule).result()
        except BrokenProcessPool as error:
            raise _ended() from error

    def close(self) -> None:
        """End the process, after what it is drawing."""
        self._process.shutdown(cancel_futures=True)


def _ended() -> RunFailedError:
    return RunFailedError("the model's process ended, perhaps for want of memory; start the page again")


def _begin() -> None:
    # an interrupt in the terminal reaches both processes; the page's decides when this one ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "started by ComparerProcess"
    parent.join()
    os._exit(1)


def _load(make: Callable[[], Comparer]) -> None:
    _made.append(make())


def _compare(prompt: str, seed: int, schedule: Schedule) -> Compared:
    return _made[0].compare(prompt, seed, schedule)
