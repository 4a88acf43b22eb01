"""One open run on an MLflow server or database: found again or created, then fed in batches.

Nothing but this and ``mlflow_study`` imports mlflow.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Metric
from mlflow.entities import Param as MlflowParam
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from recache_ray.errors import BadInputError
from recache_ray.tracking.jsonl import EVALUATION_PREFIX
from recache_ray.tracking.mlflow_study import join_study
from recache_ray.tracking.records import File, Param, Point, Record

_LOGGER = logging.getLogger(__name__)
_SQLITE = "sqlite:///"
_RUN_FILE = "mlflow_run.txt"
for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass
class MlflowRun:
    """A run that is open for writing, and what it already held when it was opened, so that nothing is repeated."""

    client: MlflowClient
    run_id: str
    params: set[str]
    points: dict[tuple[str, int], float]

    def send(self, batch: Sequence[Record]) -> None:
        """Send records of one kind, at most ``BATCH_SIZE`` of it, leaving out what the run holds.

        Raises:
            Exception: whatever MLflow, the network or the disk raises; see :meth:`is_refusal`.
        """
        wanted = [record for record in batch if not self._holds(record)]
        points = [Metric(r.name, r.value, int(r.time_s * 1000), r.step) for r in wanted if isinstance(r, Point)]
        params = [MlflowParam(record.name, record.value) for record in wanted if isinstance(record, Param)]
        if points or params:
            self.client.log_batch(self.run_id, metrics=points, params=params)
        for record in wanted:
            if isinstance(record, File):
                self.client.log_artifact(self.run_id, str(record.path), record.folder or None)

    def end(self, status: str) -> None:
        """Set the final status: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)

    @staticmethod
    def is_refusal(error: Exception) -> bool:
        """Whether sending the same again cannot help: the server understood and said no."""
        status = error.get_http_status_code() if isinstance(error, MlflowException) else 500
        return 400 <= status < 500 and status not in (408, 429)

    def _holds(self, record: Record) -> bool:
        """A point that is there counts as sent, but an evaluation whose value has changed does not."""
        if isinstance(record, Param):
            return record.name in self.params
        if isinstance(record, Point) and (record.name, record.step) in self.points:
            unchanged = record.value == self.points[record.name, record.step]
            return unchanged or not record.name.startswith(EVALUATION_PREFIX)
        return False


def open_run(uri: str, experiment: str, name: str, folder: Path, tags: Mapping[str, str], study: str = "") -> MlflowRun:
    """Open the run remembered in ``folder``, or create one and remember it there; ``study`` names its parent run.

    Raises:
        BadInputError: if the experiment was deleted.
        Exception: whatever MLflow raises when ``uri`` cannot be used.
    """
    _check_database(uri)
    client = MlflowClient(uri)
    experiment_id = _experiment_id(client, experiment, uri)
    remembered = folder / _RUN_FILE
    if remembered.exists():
        run = _resumed(client, remembered.read_text(encoding="utf-8").strip())
        if run is not None:
            if study:
                join_study(client, client.get_run(run.run_id).info.experiment_id, run.run_id, study)
            return run
    run_id = client.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
    partial = remembered.with_suffix(".partial")
    partial.write_text(run_id + "\n", encoding="utf-8")
    partial.replace(remembered)
    if study:
        join_study(client, experiment_id, run_id, study)
    return MlflowRun(client, run_id, set(), {})


def _experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=_artifact_location(uri))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
    if found.lifecycle_stage != "active":
        raise BadInputError(f"tracking.experiment = {name!r}: was deleted in MLflow; restore it or choose another name")
    return found.experiment_id


def _artifact_location(uri: str) -> str | None:
    """Files go beside a sqlite database; a server decides for itself."""
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).resolve().parent / "mlartifacts").as_uri()


def _check_database(uri: str) -> None:
    """Open a sqlite file once directly: MLflow itself tries again for two minutes before it reports a bad path."""
    if uri.startswith(_SQLITE):
        with closing(sqlite3.connect(uri.removeprefix(_SQLITE))) as connection:
            connection.execute("PRAGMA user_version")


def _resumed(client: MlflowClient, run_id: str) -> MlflowRun | None:
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if not MlflowRun.is_refusal(error):
            raise
        run = None
    if run is None or run.info.lifecycle_stage != "active":
        _LOGGER.warning("MLflow has no run %s any more; a new run begins", run_id)
        return None
    client.update_run(run_id, status="RUNNING")
    points = {
        (point.key, point.step): point.value
        for metric in run.data.metrics
        for point in client.get_metric_history(run_id, metric)
    }
    return MlflowRun(client, run_id, set(run.data.params), points)
