"""The entry point of ``recache VERB [name=value ...]``: help without heavy imports, one-line errors, exit statuses."""

from __future__ import annotations

import difflib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from types import FrameType

from recache_ray.cli.help import overview, verb_help
from recache_ray.cli.resolve import resolve
from recache_ray.cli.verb import INTERRUPTED, Verb
from recache_ray.cli.verbs import VERBS
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RecacheError
from recache_ray.tracking.names import without_secrets

_DEBUG = "RECACHE_DEBUG"
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 failed, 2 bad input, 130 interrupted."""
    try:
        with _signals_interrupt():
            status = _command(list(sys.argv[1:] if arguments is None else arguments))
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        print("recache: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of stdout has gone: nothing to tell it, and the interpreter must not fail flushing at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _report(error)


def _command(arguments: list[str]) -> int:
    if not arguments:
        print(overview(), file=sys.stderr)
        return BadInputError.exit_status
    if arguments[0] in ("--help", "-h", "help"):
        print(overview())
        return 0
    if arguments[0] == "--version":
        print(f"recache_ray {metadata.version('recache_ray')}")
        return 0
    verb, rest = _verb(arguments)
    for option in ("--help-all", "--help", "-h"):
        if option in rest:
            print(verb_help(verb, every_setting=option == "--help-all"))
            return 0
    config = resolve([argument for argument in rest if argument != "--print-config"], verb.spellings, verb.start)
    if "--print-config" in rest:
        print(json.dumps(to_mapping(config), indent=2))
        return 0
    _check_required(verb, config)
    return _run(verb, config)


def _verb(arguments: list[str]) -> tuple[Verb, list[str]]:
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in VERBS:
            return VERBS[name], arguments[words:]
    first = arguments[0]
    below = [name for name in VERBS if name.startswith(f"{first} ")]
    if below:
        if {"--help", "-h", "--help-all"} & set(arguments):
            return VERBS[below[0]], ["--help"]
        raise BadInputError(
            f"recache {' '.join(arguments[:2])}: not a command; write recache {' or recache '.join(below)}"
        )
    close = difflib.get_close_matches(first, VERBS, n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise BadInputError(f"{first}: unknown verb{guess} (verbs: {', '.join(VERBS)})")


def _check_required(verb: Verb, config: Config) -> None:
    values = to_mapping(config)
    spelled = {path: name for name, path in verb.spellings.items()}
    for path in verb.required:
        section, _, name = path.partition(".")
        if not str(values[section][name]).strip():
            raise BadInputError(f"{path}: must be given; add {spelled.get(path, path)}=... to the command")


def _run(verb: Verb, config: Config) -> int:
    from recache_ray.cli.progress import ProgressPrinter

    with ProgressPrinter() as progress:
        finished = verb.run(config, progress)
    if finished.text:
        print(finished.text)
    return finished.exit_status


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM, and SIGINT even where a shell started us with it ignored, raise KeyboardInterrupt."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _STOPPING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(error: Exception) -> int:
    """Print ``error`` as one line (and its traceback when debugging) and return its exit status."""
    if os.environ.get(_DEBUG):
        print(without_secrets("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    origin = getattr(error, "cause", None)  # an error that crossed a process carries the original one
    if isinstance(origin, Exception):
        error = origin
    message = without_secrets(" ".join(str(error).split("\n")[0].split()))
    if isinstance(error, RecacheError):
        print(f"recache: error: {message}", file=sys.stderr)
        return error.exit_status
    hint = "" if os.environ.get(_DEBUG) else f" (unexpected; set {_DEBUG}=1 for the traceback)"
    print(f"recache: error: {type(error).__name__}: {message or 'no message'}{hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
