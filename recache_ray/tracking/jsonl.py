"""The record that is always written: one JSON object per line, ``{"step": ..., "time": ..., "metrics": {...}}``."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recache_ray.errors import BadInputError

_LOGGER = logging.getLogger(__name__)
EVALUATION_PREFIX = "eval/"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


@dataclass(frozen=True, slots=True)
class MetricsLine:
    """One line of ``metrics.jsonl``; ``time`` is in seconds since 1970."""

    step: int
    time: float
    metrics: Mapping[str, float | None]

    @property
    def is_evaluation(self) -> bool:
        """Whether ``step`` is a budget: metrics of the quality-budget curve, not of an update."""
        return bool(self.metrics) and all(name.startswith(EVALUATION_PREFIX) for name in self.metrics)


def read_metrics(path: Path) -> Iterator[MetricsLine]:
    """Yield the complete lines of a ``metrics.jsonl``; a last line cut short by a crash is left out."""
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                record = json.loads(line)
                yield MetricsLine(int(record["step"]), float(record["time"]), record["metrics"])


class JsonlTracker:
    """Appends each record with a single unbuffered write, so that a killed process loses no line.

    A full disk never ends the run: what could not be written is kept and written before the next record.
    Non-finite values become ``null``, since JSON has none.

    Args:
        path: the ``metrics.jsonl``; an existing one is continued, after removing a line cut short by a crash.

    Raises:
        BadInputError: if the file cannot be opened for appending or is not a ``metrics.jsonl``.
    """

    run_id = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending = b""
        self._warned = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _rewrite(path, lambda line: True)
            self._descriptor: int | None = os.open(path, _APPEND, 0o644)
        except OSError as error:
            raise BadInputError(f"{path}: cannot write ({error.strerror}); choose another run.dir") from error

    def resume_from(self, step: int | None = None) -> None:
        """Forget what a resumed run is about to record again: updates after ``step``, and every evaluation line.

        ``None`` keeps all updates. The file is replaced atomically.
        """
        self._flush()
        _rewrite(self._path, lambda line: not line.is_evaluation and (step is None or line.step <= step))
        self._reopen()

    def log_params(self, params: Mapping[str, object]) -> None:
        """Nothing: the resolved configuration has its own file beside this one."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Append one line."""
        values = {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
        self._pending += _encode(MetricsLine(int(step), round(time.time(), 3), values))
        self._flush()

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Nothing: artifacts already lie in the run's folder."""

    def close(self, status: str = "FINISHED") -> None:
        """Write what is left and close the file. Safe to call twice."""
        if self._descriptor is None:
            return
        self._flush()
        os.close(self._descriptor)
        self._descriptor = None

    def _flush(self) -> None:
        if self._descriptor is None:
            return
        try:
            while self._pending:
                written = os.write(self._descriptor, self._pending)
                self._pending = self._pending[written:]
        except OSError as error:
            if not self._warned:
                self._warned = True
                _LOGGER.warning(
                    "%s: cannot write (%s); metrics are kept in memory until it works again", self._path, error.strerror
                )

    def _reopen(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = os.open(self._path, _APPEND, 0o644)


def _rewrite(path: Path, wanted: Callable[[MetricsLine], bool]) -> None:
    """Keep the wanted complete lines, replacing the file atomically if that leaves any out."""
    try:
        kept = [line for line in read_metrics(path) if wanted(line)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"{path}: not a metrics.jsonl ({error!r}); move it away or choose another run.dir"
        ) from error
    content = b"".join(_encode(line) for line in kept)
    if content == path.read_bytes():
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _encode(line: MetricsLine) -> bytes:
    record = {"step": line.step, "time": line.time, "metrics": dict(line.metrics)}
    return json.dumps(record, allow_nan=False).encode() + b"\n"
