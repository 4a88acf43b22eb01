"""Comparing mechanisms in MLflow: a real server, several runs under one parent, and a server that is not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import Server, end, mlflow_server

from recache_ray.build.trackers import open_tracker, reopen_tracker
from recache_ray.cli.main import main
from recache_ray.config.root import Config, load_config
from recache_ray.testing.evaluated_run import write_evaluated_run
from recache_ray.tracking.jsonl import read_metrics

pytestmark = pytest.mark.integration

CURVES = {"reuse": {3: 0.3, 5: 0.2}, "taylor1": {3: 0.2, 5: 0.1}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder, f"sqlite:///{folder / 'mlflow.db'}") as started:
        yield started


def config_of(folder: Path, uri: str, mechanism: str, study: str = "mechanisms") -> Config:
    kind, order = ("reuse", 0) if mechanism == "reuse" else ("taylor", 1)
    return load_config(
        {
            "run": {"dir": str(folder / mechanism)},
            "mechanism": {"kind": kind, "order": order},
            "tracking": {"mlflow_uri": uri, "study": study},
        }
    )


def record(config: Config, curve: dict[int, float]) -> None:
    opened = open_tracker(config, None, {"seed": 0})
    opened.confirm()
    opened.tracker.log_metrics({"reward/mean": -0.5}, 1)
    for budget, lpips in curve.items():
        opened.tracker.log_metrics({"eval/lpips": lpips}, budget)
    opened.tracker.close()


def test_a_study_is_a_parent_with_a_run_for_every_mechanism_in_the_models_experiment(
    server: Server, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    uri, _ = server
    for mechanism, curve in CURVES.items():
        record(config_of(tmp_path, uri, mechanism), curve)
    record(config_of(tmp_path / "other", uri, "reuse", study="a user's own"), CURVES["reuse"])

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("recache_ray/shapes")
    assert experiment is not None
    parents = client.search_runs([experiment.experiment_id], "tags.role = 'study parent'")
    assert sorted((run.info.run_name, run.info.status) for run in parents) == [
        ("a user's own", "FINISHED"),
        ("mechanisms", "FINISHED"),
    ]
    parent = next(run for run in parents if run.info.run_name == "mechanisms")
    children = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", order_by=["start_time"]
    )
    assert sorted(run.info.run_name for run in children) == ["reuse", "taylor1"]
    for run in children:
        name = run.info.run_name
        assert run.data.tags["mechanism"] == name and run.data.tags["study"] == "mechanisms"
        points = client.get_metric_history(run.info.run_id, "eval/lpips")
        assert {point.step: point.value for point in points} == CURVES[name]


def test_an_evaluated_run_joins_a_study_later_and_on_another_server_arrives_whole(
    server: Server, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    uri, _ = server
    local = f"sqlite:///{tmp_path / 'local.db'}"
    record(config_of(tmp_path, local, "reuse", study=""), CURVES["reuse"])
    opened = reopen_tracker(config_of(tmp_path, uri, "reuse", study="later"), {"seed": 0})
    opened.confirm()
    opened.tracker.log_metrics({"eval/lpips": 0.25}, 3)
    run_id = opened.tracker.run_id
    opened.tracker.close()

    client = MlflowClient(uri)
    run = client.get_run(run_id)
    assert client.get_run(run.data.tags["mlflow.parentRunId"]).info.run_name == "later"
    assert [(p.step, p.value) for p in client.get_metric_history(run_id, "reward/mean")] == [(1, -0.5)]
    assert [(p.step, p.value) for p in client.get_metric_history(run_id, "eval/lpips")] == [(3, 0.25)]
    lines = list(read_metrics(tmp_path / "reuse" / "metrics.jsonl"))
    assert [(line.step, dict(line.metrics)) for line in lines] == [
        (1, {"reward/mean": -0.5}),
        (3, {"eval/lpips": 0.25}),
    ]


def test_a_server_that_is_down_at_the_start_is_exit_status_2_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_evaluated_run(tmp_path / "run", prompts=2, budgets=(3,))
    files = (folder / "evaluation" / "frontier.csv", folder / "metrics.jsonl")
    before = [file.read_bytes() for file in files]
    uri = "http://ann:hunter2@127.0.0.1:9"
    assert main(["evaluate", f"run.dir={folder}", f"tracking.mlflow_uri={uri}", "tracking.study=x"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "start the server" in err and "hunter2" not in err
    assert [file.read_bytes() for file in files] == before


def test_a_server_that_dies_on_the_way_is_said_once_and_the_record_is_complete(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri, process = server
    config = config_of(tmp_path, uri, "taylor1", study="doomed")
    opened = open_tracker(config, None, {"seed": 0})
    opened.confirm()
    opened.tracker.log_metrics({"reward/mean": 0.0}, 0)
    end(process)
    caplog.set_level(logging.WARNING)
    for update in range(1, 200):
        opened.tracker.log_metrics({"reward/mean": float(update)}, update)
    opened.tracker.close()
    lines = list(read_metrics(tmp_path / "taylor1" / "metrics.jsonl"))
    assert [(line.step, line.metrics["reward/mean"]) for line in lines] == [(u, float(u)) for u in range(200)]
    said = [message for message in caplog.messages if "the run goes on" in message]
    assert len(said) == 1
