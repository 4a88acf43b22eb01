"""A training as a job of a real job server, behind a token: submitted in one line, followed through its log."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recache_ray.distributed.local_nodes import LocalNodes
from recache_ray.distributed.session_folder import session_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(500)]

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 300
AGENT_PORT = 52365  # Ray's default


@pytest.fixture(scope="module")
def another_cluster() -> Iterator[None]:
    """The port of a cluster's agent is taken, as where one runs already or has not quite ended."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", AGENT_PORT))
            taken.listen()
        except OSError:
            pass  # there is indeed another
        yield


@pytest.fixture(scope="module")
def nodes(cluster: None, another_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNodes]:
    """Beside the cluster of the other tests, which a job must not take for the one that it is a job of."""
    with session_folder() as sockets, LocalNodes(sockets, dashboard=True) as nodes:
        programs = tmp_path_factory.mktemp("bin")
        recache = programs / "recache"
        recache.write_text(f'#!/bin/sh\nexec {sys.executable} -m recache_ray.cli.main "$@"\n')
        recache.chmod(recache.stat().st_mode | stat.S_IXUSR)
        # where every node of a cluster has its token: Ray hands that of the environment to no job
        home = tmp_path_factory.mktemp("home")
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text(nodes.environment["RAY_AUTH_TOKEN"])
        nodes.environment |= {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(home),
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
        }
        nodes.start_head()
        nodes.add_worker(1)
        yield nodes


def submit(nodes: LocalNodes, folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recache_ray.cli.main", "submit", f"server={nodes.jobs_address}", *settings],
        cwd=folder,
        env=nodes.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_a_job_trains_and_its_log_shows_how_far_it_is(nodes: LocalNodes, tmp_path: Path) -> None:
    settings = (
        f"run.dir={tmp_path}/run references.dir={tmp_path}/references experiment=smoke tracking=jsonl "
        "runtime.num_workers=1 runtime.min_workers=1 runtime.gpus_per_worker=0"
    ).split()
    settings += [f"runtime_env={REPOSITORY}/cluster/runtime-env.yaml", "job_id=smoke-1"]
    done = submit(nodes, tmp_path, "follow=true", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "submitted smoke-1" in done.stderr
    assert re.search(r"^references +5/5", done.stdout, re.MULTILINE), "progress belongs into the log of the job"
    assert re.search(r"^learn +2/2 .*reward", done.stdout, re.MULTILINE)
    assert "smoke-1 has ended well" in done.stdout
    assert (tmp_path / "run" / "schedules.json").exists()

    again = submit(nodes, tmp_path, *settings)
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1].startswith("recache: error: submit.job_id = 'smoke-1': the job server refuses")
