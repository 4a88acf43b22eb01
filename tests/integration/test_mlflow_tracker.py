"""The tracker against real sqlite databases and a real tracking server on this machine."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import Server, end, mlflow_server

from recache_ray.config.run import TrackingConfig
from recache_ray.errors import BadInputError
from recache_ray.tracking.jsonl import JsonlTracker, read_metrics
from recache_ray.tracking.mlflow_tracker import MlflowTracker

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests, since making one takes seconds; tests use experiments of their own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'shared.db'}"


@pytest.fixture
def section(database: str, request: pytest.FixtureRequest) -> TrackingConfig:
    return TrackingConfig(mlflow_uri=database, experiment=request.node.name)


def client_of(uri: str):  # type: ignore[no-untyped-def]
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def history(uri: str, run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in client_of(uri).get_metric_history(run_id, name))


def test_params_metrics_files_tags_and_status_arrive(section: TrackingConfig, tmp_path: Path) -> None:
    file = tmp_path / "schedules.json"
    file.write_text("{}")
    tracker = MlflowTracker(section, tmp_path, tags={"mechanism": "taylor1"})
    many = {f"group.param{i}": i for i in range(230)}
    tracker.log_params({**many, "long": "x" * 9000, "uri": "http://ann:hunter2@host/x", "odd?name": True})
    for step in range(1500):
        tracker.log_metrics({"reward/lpips/mean": step / 10}, step)
    tracker.log_metrics({"eval/lpips": 0.25, "eval/k=3": 1.0}, 7)
    tracker.log_artifact(file, "evaluation")
    tracker.close()
    tracker.close()

    client = client_of(section.mlflow_uri)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == tmp_path.name
    assert run.data.tags["mechanism"] == "taylor1"
    assert len(run.data.params) == 233 and run.data.params["group.param229"] == "229"
    assert len(run.data.params["long"]) == 6000 and run.data.params["odd_name"] == "True"
    assert run.data.params["uri"] == "http://***@host/x"
    assert history(section.mlflow_uri, tracker.run_id, "reward/lpips/mean") == [(s, s / 10) for s in range(1500)]
    assert history(section.mlflow_uri, tracker.run_id, "eval/lpips") == [(7, 0.25)]
    assert "eval/k_3" in run.data.metrics
    assert [item.path for item in client.list_artifacts(tracker.run_id, "evaluation")] == ["evaluation/schedules.json"]
    assert "hunter2" not in "".join(Path(section.mlflow_uri.removeprefix("sqlite:///")).read_text("latin-1"))


def test_the_default_is_a_database_and_files_inside_the_run_folder_and_opening_it_is_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = MlflowTracker(TrackingConfig(experiment="recache_ray", run_name="mine"), tmp_path)
    tracker.log_metrics({"a": 1.0}, 0)
    (tmp_path / "out.txt").write_text("")
    tracker.log_artifact(tmp_path / "out.txt")
    tracker.close("FAILED")
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlartifacts", "mlflow_run.txt", "out.txt"}
    run = client_of(f"sqlite:///{tmp_path / 'mlflow.db'}").get_run(tracker.run_id)
    assert (run.info.status, run.info.run_name) == ("FAILED", "mine")
    assert capfd.readouterr() == ("", "")


def test_logging_never_waits_for_the_database(section: TrackingConfig, tmp_path: Path) -> None:
    tracker = MlflowTracker(section, tmp_path)
    tracker.wait_until_started()
    with sqlite3.connect(section.mlflow_uri.removeprefix("sqlite:///")) as lock:
        lock.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        for step in range(200):
            tracker.log_metrics({"a": float(step)}, step)
        took = time.monotonic() - started
        time.sleep(1.5)
        lock.rollback()
    tracker.close()
    assert took < 0.2
    assert len(history(section.mlflow_uri, tracker.run_id, "a")) == 200


def test_resuming_goes_on_with_the_same_run_and_repeats_nothing(section: TrackingConfig, tmp_path: Path) -> None:
    first = MlflowTracker(section, tmp_path)
    first.log_params({"lr": 0.1})
    for step in range(6):
        first.log_metrics({"loss": float(step)}, step)
    first.log_metrics({"eval/lpips": 0.5}, 3)
    first.close("KILLED")
    assert client_of(section.mlflow_uri).get_run(first.run_id).info.status == "KILLED"

    second = MlflowTracker(section, tmp_path)
    assert second.wait_until_started() == first.run_id
    assert client_of(section.mlflow_uri).get_run(first.run_id).info.status == "RUNNING"
    second.log_params({"lr": 0.2, "new": 1})
    for step in range(4, 8):
        second.log_metrics({"loss": float(step)}, step)
    second.log_metrics({"eval/lpips": 0.5}, 3)
    second.log_metrics({"eval/lpips": 0.4}, 4)
    second.close()
    assert history(section.mlflow_uri, first.run_id, "loss") == [(s, float(s)) for s in range(8)]
    assert history(section.mlflow_uri, first.run_id, "eval/lpips") == [(3, 0.5), (4, 0.4)]
    run = client_of(section.mlflow_uri).get_run(first.run_id)
    assert (run.data.params, run.info.status) == ({"lr": "0.1", "new": "1"}, "FINISHED")


def test_replay_fills_what_a_killed_process_had_not_sent(section: TrackingConfig, tmp_path: Path) -> None:
    jsonl = JsonlTracker(tmp_path / "metrics.jsonl")
    for step in range(5):
        jsonl.log_metrics({"loss": float(step), "nan": float("nan")}, step)
    first = MlflowTracker(section, tmp_path)
    first.log_metrics({"loss": 1.0}, 1)
    first.close("KILLED")
    second = MlflowTracker(section, tmp_path)
    second.replay(read_metrics(tmp_path / "metrics.jsonl"))
    second.close()
    assert history(section.mlflow_uri, first.run_id, "loss") == [(s, float(s)) for s in range(5)]


def test_a_run_that_is_gone_is_said_and_a_new_one_begins(
    section: TrackingConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mlflow_run.txt").write_text("0123456789abcdef0123456789abcdef\n")
    tracker = MlflowTracker(section, tmp_path)
    tracker.close()
    assert tracker.run_id != "0123456789abcdef0123456789abcdef"
    assert (tmp_path / "mlflow_run.txt").read_text().strip() == tracker.run_id
    assert any("a new run begins" in message for message in caplog.messages)


def test_an_artifact_that_is_missing_does_not_stop_the_rest(
    section: TrackingConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = MlflowTracker(section, tmp_path)
    tracker.log_artifact(tmp_path / "absent.png")
    tracker.log_artifact(tmp_path / "absent_too.png")
    tracker.log_metrics({"a": 1.0}, 0)
    tracker.close()
    assert history(section.mlflow_uri, tracker.run_id, "a") == [(0, 1.0)]
    assert len([message for message in caplog.messages if "the run goes on" in message]) == 1


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("ftp://ann:hunter2@host/x", "must start with sqlite:///"),
        ("file:///somewhere", "must start with sqlite:///"),
        ("http://ann:hunter2@127.0.0.1:9", r"MLflow cannot be used .* start the server"),
        ("sqlite:////absent-folder/mlflow.db", "unable to open database file"),
    ],
)
def test_a_uri_that_cannot_work_is_refused_soon_in_one_line_without_its_password(
    uri: str, says: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(BadInputError, match=says) as refused:
        MlflowTracker(TrackingConfig(mlflow_uri=uri), tmp_path).wait_until_started()
    assert time.monotonic() - started < 30
    message = str(refused.value)
    assert message.startswith("tracking.mlflow_uri = ") and "\n" not in message and "hunter2" not in message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, " * 100)
    with pytest.raises(BadInputError, match="file is not a database"):
        MlflowTracker(TrackingConfig(), tmp_path).wait_until_started()


def test_a_deleted_experiment_is_refused(section: TrackingConfig, tmp_path: Path) -> None:
    MlflowTracker(section, tmp_path).close()
    client = client_of(section.mlflow_uri)
    client.delete_experiment(client.get_experiment_by_name(section.experiment).experiment_id)
    with pytest.raises(BadInputError, match=r"tracking\.experiment .* was deleted"):
        MlflowTracker(section, tmp_path).wait_until_started()


@pytest.fixture
def server(tmp_path: Path, database: str) -> Iterator[Server]:
    with mlflow_server(tmp_path, database) as started:
        yield started


def test_a_server_that_goes_away_ends_nothing_and_is_reported_once(
    server: Server,
    database: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    uri, process = server
    with_user = uri.replace("http://", "http://ann:hunter2@")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    tracker = MlflowTracker(TrackingConfig(mlflow_uri=with_user, experiment="served"), run_dir)
    run_id = tracker.wait_until_started()
    tracker.log_params({"tracking.mlflow_uri": with_user})
    tracker.log_metrics({"loss": 1.0}, 0)
    (run_dir / "out.txt").write_text("kept")
    tracker.log_artifact(run_dir / "out.txt")
    served = tmp_path / "served"
    for _ in range(300):
        if history(database, run_id, "loss") and any(file.read_text() for file in served.rglob("out.txt")):
            break
        time.sleep(0.1)
    assert history(database, run_id, "loss") == [(0, 1.0)]
    assert [file.read_text() for file in served.rglob("out.txt")] == ["kept"]

    end(process)
    caplog.set_level(logging.WARNING)
    started = time.monotonic()
    for step in range(1, 50):
        tracker.log_metrics({"loss": float(step)}, step)
    assert time.monotonic() - started < 0.2
    tracker.close()
    assert time.monotonic() - started < 60
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("recache_ray")]
    assert len([message for message in ours if "the run goes on" in message]) == 1
    assert any("49 records" in message for message in ours)
    out, err = capfd.readouterr()
    assert "hunter2" not in out + err + "".join(ours)
    assert not out
