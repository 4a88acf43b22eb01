"""A study: one parent run that groups the runs to compare, such as one per mechanism."""

from __future__ import annotations

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

STUDY = "study"
"""Tag of the parent and of every run in it: the study's name."""

_ROLE, _PARENT = "role", "study parent"


def join_study(client: MlflowClient, experiment_id: str, run_id: str, study: str) -> str:
    """Make ``run_id`` a child of the study's parent run, which is created where it is missing; returns the parent's id.

    Processes that start together may each create a parent; all of them then agree on the oldest and the others go.

    Raises:
        Exception: whatever MLflow raises.
    """
    parents = _parents(client, experiment_id, study)
    if not parents:
        created = client.create_run(experiment_id, tags={STUDY: study, _ROLE: _PARENT}, run_name=study).info.run_id
        client.set_terminated(created)
        parents = _parents(client, experiment_id, study)
        if parents[0].info.run_id != created:
            client.delete_run(created)
    parent_id = parents[0].info.run_id
    client.set_tag(run_id, MLFLOW_PARENT_RUN_ID, parent_id)
    client.set_tag(run_id, STUDY, study)
    return parent_id


def _parents(client: MlflowClient, experiment_id: str, study: str) -> list[Run]:
    """Oldest first, the id deciding between runs of the same millisecond; names are compared here, not by the server,
    whose filters cannot quote every one.
    """
    found = client.search_runs([experiment_id], f"tags.{_ROLE} = '{_PARENT}'")
    named = [run for run in found if run.data.tags.get(STUDY) == study]
    return sorted(named, key=lambda run: (run.info.start_time, run.info.run_id))
