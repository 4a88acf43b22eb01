"""MLflow: sqlite beside the run by default, or a tracking server over HTTP."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recache_ray.config.run import TrackingConfig
from recache_ray.errors import BadInputError
from recache_ray.tracking.jsonl import MetricsLine
from recache_ray.tracking.names import safe_name, without_secrets
from recache_ray.tracking.records import BATCH_SIZE, File, Param, Point, Record

if TYPE_CHECKING:
    from recache_ray.tracking.mlflow_run import MlflowRun

_LOGGER = logging.getLogger(__name__)
_FLUSH_EVERY_S = 1.0
_CLOSE_WITHIN_S = 60.0
_PARAM_LENGTH = 6000
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


@dataclass(frozen=True, slots=True)
class _End:
    status: str


class MlflowTracker:
    """Sends params, metrics and files from a thread of its own, in batches, so that the learner never waits.

    Opening a new sqlite database takes seconds, so it happens in that thread too: do other work, then call
    :meth:`wait_until_started`, which raises if MLflow cannot be used. From then on nothing that goes wrong ends the
    run: what the server does not take for the moment is kept and sent again, what it refuses is dropped; the first
    problem is reported, since ``metrics.jsonl`` has everything.

    The run id is remembered in ``mlflow_run.txt`` in the run's folder; a tracker on the same folder goes on with that
    run, and neither repeats a (metric, step) it already holds nor overwrites its params.

    Variables of MLflow's own that are already set in the environment win over the short timeouts set here.

    Args:
        section: URI, experiment (not empty), run name and study.
        run_dir: the run's folder, for the default database, the default name and the remembered id.
        tags: facts to compare and filter runs by, for example ``{"mechanism": "taylor1", "model": "shapes"}``.
    """

    def __init__(self, section: TrackingConfig, run_dir: Path, tags: Mapping[str, object] | None = None) -> None:
        self._section = section
        self._run_dir = run_dir
        self._tags = {safe_name(name): without_secrets(str(value))[:5000] for name, value in (tags or {}).items()}
        self._uri = section.mlflow_uri or f"sqlite:///{run_dir.resolve() / 'mlflow.db'}"
        self._shown_uri = without_secrets(self._uri) if section.mlflow_uri else "sqlite in run.dir"
        self._queue: queue.SimpleQueue[Record | _End] = queue.SimpleQueue()
        self._started: Future[str] = Future()
        self._warned = False
        self._closed = False
        if urlsplit(self._uri).scheme not in ("sqlite", "http", "https"):
            raise BadInputError(
                f"tracking.mlflow_uri = {self._shown_uri!r}: must start with sqlite:///, http:// or https://"
            )
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # Takes seconds and reads the environment; in this thread, since imports that meet in two can break each other.
        from recache_ray.tracking.mlflow_run import open_run

        self._open_run = open_run
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def wait_until_started(self) -> str:
        """Block until the run is open and return its id.

        Raises:
            BadInputError: if the server cannot be reached or the database not be opened.
        """
        return self._started.result()

    @property
    def run_id(self) -> str:
        """MLflow's id of the run, as :meth:`wait_until_started`."""
        return self.wait_until_started()

    def log_params(self, params: Mapping[str, object]) -> None:
        """Queue params; passwords in URIs are left out, values beyond MLflow's 6,000 characters are cut."""
        for name, value in params.items():
            text = without_secrets(str(value))
            shown = text if len(text) <= _PARAM_LENGTH else text[: _PARAM_LENGTH - 3] + "..."
            self._queue.put(Param(safe_name(name), shown))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Queue metrics under the time of this call."""
        now = time.time()
        for name, value in metrics.items():
            self._queue.put(Point(safe_name(name), float(value), int(step), now))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Queue a finished file; it is read when its turn comes."""
        self._queue.put(File(Path(path), folder))

    def replay(self, lines: Iterable[MetricsLine]) -> None:
        """Queue the lines of a ``metrics.jsonl``, so that what a killed run had not sent yet gets there too."""
        for line in lines:
            for name, value in line.metrics.items():
                if value is not None:
                    self._queue.put(Point(safe_name(name), value, line.step, line.time))

    def close(self, status: str = "FINISHED") -> None:
        """Send what is left, within a minute, and end the run as FINISHED, FAILED or KILLED. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(_End(status))
        self._thread.join(_CLOSE_WITHIN_S)
        if self._thread.is_alive():
            _LOGGER.warning("MLflow did not take the last records in time; metrics.jsonl has all of them")

    def _work(self) -> None:
        name = self._section.run_name or self._run_dir.resolve().name
        try:
            section = self._section
            run = self._open_run(self._uri, section.experiment, name, self._run_dir, self._tags, section.study)
        except Exception as error:
            self._started.set_exception(self._start_error(error))
            return
        self._started.set_result(run.run_id)
        waiting: deque[Record] = deque()
        end: _End | None = None
        while end is None:
            end = self._gather(waiting)
            self._send(run, waiting)
        if waiting:
            _LOGGER.warning("MLflow did not take %d records; metrics.jsonl has all of them", len(waiting))
        try:
            run.end(end.status)
        except Exception as error:
            self._warn(error)

    def _gather(self, waiting: deque[Record]) -> _End | None:
        """Wait for one record, then add those of the next second; stop at the end."""
        timeout: float | None = None
        deadline = 0.0
        while timeout is None or timeout > 0:
            try:
                record = self._queue.get(timeout=timeout)
            except queue.Empty:
                break
            if isinstance(record, _End):
                return record
            waiting.append(record)
            deadline = deadline or time.monotonic() + _FLUSH_EVERY_S
            timeout = deadline - time.monotonic()
        return None

    def _send(self, run: MlflowRun, waiting: deque[Record]) -> None:
        """Send from the front in batches of one kind; leave what is worth trying again."""
        while waiting:
            batch = _front(waiting)
            try:
                run.send(batch)
            except Exception as error:
                self._warn(error)
                if not isinstance(batch[0], File) and not run.is_refusal(error):
                    return
            for _ in batch:
                waiting.popleft()

    def _start_error(self, error: Exception) -> BadInputError:
        if isinstance(error, BadInputError):
            return error
        return BadInputError(
            f"tracking.mlflow_uri = {self._shown_uri!r}: MLflow cannot be used ({_one_line(error)}); "
            "start the server, correct the URI, or set tracking.mlflow=false"
        )

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _LOGGER.warning("MLflow: %s; the run goes on, metrics.jsonl has everything", _one_line(error))


def _front(waiting: deque[Record]) -> list[Record]:
    """The first records, as many as are of one kind and fit one batch."""
    kind = type(waiting[0])
    same = takewhile(lambda record: type(record) is kind, waiting)
    return list(islice(same, BATCH_SIZE[kind]))


def _one_line(error: Exception) -> str:
    text = " ".join(without_secrets(str(error)).split())
    return text if len(text) <= 240 else text[:237] + "..."
