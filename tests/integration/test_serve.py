"""``recache serve`` as a process: mixed budgets from many clients, and requests that no server should survive badly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml
from serving_run import BUDGETS, T, free_port, served, write_shapes_run

from recache_ray.build.serve import application
from recache_ray.cli.main import main
from recache_ray.errors import BadInputError

pytest.importorskip("grpc_reflection", reason="Ray Serve is not installed: pip install 'ray[serve]'")
pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes_run(tmp_path_factory.mktemp("runs") / "shapes")


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[tuple[str, psutil.Process]]:
    with served("serve", free_port(), run) as (address, _, process):
        yield address, psutil.Process(process.pid)


@pytest.fixture(scope="module")
def url(server: tuple[str, psutil.Process]) -> str:
    return server[0]


def post(url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=120) as response:
            return response.status, dict(response.headers), response.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_its_cluster_starts_no_process_that_serves_nobody(server: tuple[str, psutil.Process]) -> None:
    commands = [" ".join(child.cmdline()) for child in server[1].children(recursive=True)]
    assert any("raylet" in command for command in commands)
    unused = ("dashboard/dashboard.py", "_private/monitor.py", "_private/log_monitor.py")
    assert [command for command in commands for name in unused if name in command.split("--")[0]] == []


def test_16_clients_with_mixed_budgets_get_the_steps_they_asked_for(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "serve", f"url={url}", "clients=16", "seconds=10"]) == 0
    text = capsys.readouterr().out
    listed = {int(line.split()[0]) for line in text.splitlines()[1:] if line.split()[0].isdigit() and "  " in line}
    assert {*BUDGETS, T} <= listed
    batch = float(text.split("a second, ")[1].split()[0])
    assert batch > 2, "requests of different budgets were not batched"


def test_absurd_requests_are_refused_and_the_server_lives(url: str) -> None:
    absurd = [
        b"",
        b"{",
        b"[" * 50_000,
        b"x" * 100_000,
        json.dumps({"prompt": "a" * 10_000, "budget": 4}).encode(),
        *(
            json.dumps({"prompt": "a star", "budget": 4, **change}).encode()
            for change in ({"width": 10**9}, {"budget": 10**6}, {"budget": "x0"}, {"budget": None}, {"seed": -1})
        ),
    ]
    for body in absurd:
        status, _, answered = post(url, body)
        assert 400 <= status < 500 and len(json.loads(answered)["error"]) > 10, body[:50]
    status, headers, _ = post(url, json.dumps({"prompt": "a star", "budget": "x4"}).encode())
    assert status == 200
    computed = {name.lower(): value for name, value in headers.items()}["x-recache-computed-steps"]
    assert computed == "4"  # 5 of 20 would be 3.88 times cheaper, since cached steps are not free


def test_an_engine_whose_process_is_killed_comes_back(server: tuple[str, psutil.Process]) -> None:
    url, process = server
    (engine,) = (child for child in process.children(recursive=True) if "EngineHost" in " ".join(child.cmdline()))
    engine.kill()
    engine.wait(10)
    body = json.dumps({"prompt": "a star", "budget": 3}).encode()
    deadline = time.monotonic() + 100
    while (answered := post(url, body))[0] != 200:
        assert answered[0] == 500 and len(json.loads(answered[2])["error"]) > 10
        assert time.monotonic() < deadline, "no new engine took its place"
        time.sleep(0.2)
    assert urlopen(url, timeout=10).status == 200


def test_the_cluster_file_is_a_serve_configuration_that_names_the_application(run: Path) -> None:
    from ray.serve.schema import ServeDeploySchema

    from recache_ray.distributed.picture_server import APPLICATION

    schema = ServeDeploySchema.model_validate(yaml.safe_load((ROOT / "cluster" / "serve.yaml").read_text()))
    assert schema.http_options.host == "127.0.0.1"
    (app,) = schema.applications
    assert app.import_path == f"{application.__module__}:{application.__name__}" and app.name == APPLICATION
    assert set(app.args) - {"run_dir"} == {"max_batch", "batch_wait_s"}
    assert application({**app.args, "run_dir": str(run)}) is not None
    with pytest.raises(BadInputError, match="holds no run"):
        application({"run_dir": "nowhere"})
    with pytest.raises(BadInputError, match="args: unknown budget"):
        application({"run_dir": str(run), "budget": 4})


def test_a_port_in_use_is_refused_before_anything_starts(
    url: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = url.rsplit(":", 1)[1]
    assert main(["serve", f"run.dir={run}", f"port={port}"]) == 2
    assert f"serve.port = {port}: cannot be listened on" in capsys.readouterr().err
