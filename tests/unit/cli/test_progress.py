"""Progress in a log is a line now and then; on a terminal it is one line that stays at the end."""

from __future__ import annotations

import io
import math

import pytest

from recache_ray.cli.progress import ProgressPrinter, progress_line
from recache_ray.learning.progress import Progress


def record(done: int, total: int = 100, phase: str = "learn", **figures: float) -> Progress:
    empty = dict.fromkeys(("reward", "lpips", "lag", "forwards_saved", "eta_s"), math.nan)
    return Progress(phase=phase, done=done, total=total, **{**empty, **figures})  # type: ignore[arg-type]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_holds_every_figure() -> None:
    line = progress_line(record(3, 24, reward=1.25, lpips=0.0312, lag=0.5, forwards_saved=0.41, eta_s=74.2))
    assert line == "learn       3/24  ETA 1:15  reward +1.250  LPIPS 0.0312  lag 0.5  forwards saved 41%"


def test_figures_that_do_not_exist_are_left_out() -> None:
    assert progress_line(record(3, 24)) == "learn       3/24"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0:01"), (59.5, "1:00"), (3600.0, "1:00:00"), (90061.0, "25:01:01")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert progress_line(record(1, eta_s=seconds)).endswith(f"ETA {shown}")


def test_a_log_gets_the_first_the_last_and_one_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with ProgressPrinter(stream, clock) as show:
        for done in range(1, 101):
            clock.now += 0.5
            show(record(done))
    shown = [int(line.split()[1].split("/")[0]) for line in stream.getvalue().splitlines()]
    assert shown == [1, 21, 41, 61, 81, 100]


def test_a_new_phase_starts_a_new_line_at_once() -> None:
    stream, clock = io.StringIO(), Clock()
    with ProgressPrinter(stream, clock) as show:
        show(record(1))
        show("resuming after update 3")
        show(record(1, phase="polish"))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["learn", "resuming", "polish"]


def test_a_terminal_keeps_the_last_line_of_each_phase() -> None:
    stream, clock = Terminal(), Clock()
    with ProgressPrinter(stream, clock) as show:
        for done in (1, 50, 99):
            show(record(done))
        show("[a remark] of [its own]")
        show(record(100))
    text = stream.getvalue()
    assert "[a remark] of [its own]" in text
    assert text.rindex("100/100") > text.rindex("[a remark]")
    assert text.endswith("\n") or text.endswith("\x1b[?25h")


def test_an_interrupted_terminal_shows_the_newest_figures_and_the_cursor() -> None:
    stream, clock = Terminal(), Clock()
    with pytest.raises(KeyboardInterrupt), ProgressPrinter(stream, clock) as show:
        show(record(1))
        show(record(2))
        raise KeyboardInterrupt
    text = stream.getvalue()
    assert "2/100" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
