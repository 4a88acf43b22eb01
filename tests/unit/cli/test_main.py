"""Exit statuses, one-line errors and signals, with the work itself replaced."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from recache_ray.cli.main import main
from recache_ray.cli.verb import Finished
from recache_ray.cli.verbs import VERBS
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError

Work = Callable[[Callable[[], Finished | None]], None]


@pytest.fixture
def train_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Work:
    """Makes ``recache train`` do the given thing, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECACHE_DEBUG", raising=False)

    def replace(work: Callable[[], Finished | None]) -> None:
        def run(config: Config, progress: object) -> Finished:
            return work() or Finished("done")

        monkeypatch.setitem(VERBS, "train", dataclasses.replace(VERBS["train"], run=run))

    return replace


def raising(error: BaseException) -> Callable[[], Finished]:
    def work() -> Finished:
        raise error

    return work


def test_success_prints_the_result_on_stdout(train_is: Work, capsys: pytest.CaptureFixture[str]) -> None:
    train_is(lambda: Finished("budget 3"))
    assert main(["train"]) == 0
    assert capsys.readouterr() == ("budget 3\n", "")


def test_an_interrupted_outcome_is_130_with_its_text(train_is: Work, capsys: pytest.CaptureFixture[str]) -> None:
    train_is(lambda: Finished("checkpoint written", 130))
    assert main(["train"]) == 130
    assert capsys.readouterr().out == "checkpoint written\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_interrupt_and_handlers_are_put_back(
    train_is: Work, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    train_is(lambda: os.kill(os.getpid(), number))
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "recache: interrupted\n"
    assert signal.getsignal(number) == before


class LostAcrossProcesses(BadInputError):
    """Like Ray's errors: a traceback for text, the original as ``cause``."""

    cause = BadInputError("prompts.file = 'x': is empty; write one prompt a line")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (BadInputError("a.b = 3: too big"), 2, "recache: error: a.b = 3: too big"),
        (RunFailedError("disk\nfull"), 1, "recache: error: disk"),
        (
            LostAcrossProcesses("ray::f()\n  File x"),
            2,
            "recache: error: prompts.file = 'x': is empty; write one prompt a line",
        ),
        (
            ValueError("odd"),
            1,
            "recache: error: ValueError: odd (unexpected; set RECACHE_DEBUG=1 for the traceback)",
        ),
        (
            ZeroDivisionError(),
            1,
            "recache: error: ZeroDivisionError: no message (unexpected; set RECACHE_DEBUG=1 for the traceback)",
        ),
    ],
)
def test_errors_are_one_line_with_their_status(
    train_is: Work, capsys: pytest.CaptureFixture[str], error: Exception, status: int, line: str
) -> None:
    train_is(raising(error))
    assert main(["train"]) == status
    assert capsys.readouterr() == ("", line + "\n")


def test_debugging_shows_the_traceback(
    train_is: Work, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECACHE_DEBUG", "1")
    train_is(raising(ValueError("odd")))
    assert main(["train"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "recache: error: ValueError: odd"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "did you mean train?"),
        (["bench"], "recache bench rollout"),
        (["bench", "rolout"], "recache bench rollout"),
        (["train", "mechanism=tayler1"], "did you mean taylor1?"),
        (["train", "learning.budgets=0"], "learning.budgets"),
        (["train", "learning.budgets=abc"], "learning.budgets"),
        (["train", "learning.budgets=3..99"], "num_steps = 20"),
        (["train", "model.kind=sdxl"], "model.kind"),
        (["evaluate"], "recache train"),
        (["generate", "prompt=x"], "recache train"),
    ],
)
def test_bad_input_is_2_before_any_work(
    train_is: Work, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    train_is(raising(AssertionError("must not run")))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("recache: error: ") and err.count("\n") == 1 and says in err
    assert list(tmp_path.iterdir()) == []


def test_no_verb_is_an_error_that_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Usage: recache VERB" in err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["train", "--help"], ["bench", "--help"], ["train", "x=", "-h"]]
)
def test_help_is_0(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "Usage: recache" in out and err == ""


def test_generate_wants_a_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert main(["generate", f"run.dir={tmp_path}"]) == 2
    assert "generate.prompt: must be given; add prompt=..." in capsys.readouterr().err


def test_printed_settings_are_a_run_that_can_be_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"run.dir={tmp_path}", "mechanism=newton2", "--print-config"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "config.json").write_text(printed)
    assert main(["evaluate", f"run.dir={tmp_path}", "--print-config"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
@pytest.mark.parametrize(("verb", "module"), [("rollout", "bench"), ("learning", "bench_learning")])
def test_a_missed_benchmark_target_is_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    passed: bool,
    status: int,
    verb: str,
    module: str,
) -> None:
    bench = types.ModuleType(f"recache_ray.build.{module}")
    setattr(bench, f"bench_{verb}", lambda config, progress: ("2.0 times", passed))
    monkeypatch.setitem(sys.modules, f"recache_ray.build.{module}", bench)
    assert main(["bench", verb]) == status
    assert capsys.readouterr() == ("2.0 times\n", "")
