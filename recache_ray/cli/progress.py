"""Progress on stderr: one live line on a terminal, a line now and then in a log; stdout stays free for results."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.live import Live

    from recache_ray.learning.progress import Progress

_LOG_EVERY_S = 10.0
_LIVE_EVERY_S = 0.1


class ProgressPrinter:
    """Prints progress records and remarks as they come.

    In a log, the first and the last record of a phase always get a line. Use it as a context manager, so that the
    live line is taken down before anything else is printed.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._on_terminal = self._stream.isatty()
        self._live: Live | None = None
        self._line = ""
        self._phase = ""
        self._next_print = -math.inf

    def __enter__(self) -> ProgressPrinter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_phase()

    def __call__(self, record: Progress | str) -> None:
        """Show a record of progress, or print a remark that stays."""
        if isinstance(record, str):
            self._remark(record)
            return
        if record.phase != self._phase:
            self._end_phase()
            self._phase, self._next_print = record.phase, -math.inf
        self._line = progress_line(record)
        finished = record.done >= record.total
        now = self._clock()
        if now >= self._next_print or finished:
            self._next_print = now + (_LIVE_EVERY_S if self._on_terminal else _LOG_EVERY_S)
            self._show()
        if finished:
            self._end_phase()
            self._phase = ""

    def _remark(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)

    def _show(self) -> None:
        if not self._on_terminal:
            print(self._line, file=self._stream, flush=True)
            return
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), auto_refresh=False)
            self._live.start()
        from rich.text import Text

        self._live.update(Text(self._line, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _end_phase(self) -> None:
        """Leave the phase's last line standing."""
        if self._live is not None:
            self._show()
            self._live.stop()
            self._live = None


def progress_line(record: Progress) -> str:
    """One record as text, without the figures it does not have: ``learn  3/24  reward +1.200  ...  ETA 1:15``."""
    parts = [f"{record.phase:<10} {record.done:>{len(str(record.total))}}/{record.total}"]
    if record.done < record.total and math.isfinite(record.eta_s):
        parts.append(f"ETA {_duration(record.eta_s)}")
    for figure, form in (
        (record.reward, "reward {:+.3f}"),
        (record.lpips, "LPIPS {:.4f}"),
        (record.lag, "lag {:.1f}"),
        (record.forwards_saved, "forwards saved {:.0%}"),
    ):
        if math.isfinite(figure):
            parts.append(form.format(figure))
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
