"""Nodes come for a training, are replaced when one is killed, and go when it is over.

Ray's own fake provider starts the nodes: real raylets on this machine that claim a GPU each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from recache_ray.distributed.local_nodes import LocalNodes
from recache_ray.distributed.session_folder import session_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

NODES = 2
HEAD_ID = "f" * 51 + "00000"
AUTOSCALING = {
    "cluster_name": "fake",
    "max_workers": NODES,
    "idle_timeout_minutes": 0.1,
    "upscaling_speed": 10.0,
    "provider": {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "launch_multiple": True,
        "head_node_id": HEAD_ID,
        "use_node_id_as_ip": True,  # they all have the same address
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "gpu": {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": NODES},
    },
    "head_node_type": "ray.head.default",
    # Ray fills these in for the providers it knows, and ends its autoscaler where they are missing
    "auth": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}
SETTINGS = (
    "experiment=smoke runtime=cluster tracking=jsonl "
    f"runtime.num_workers={NODES} runtime.min_workers=1 runtime.gpus_per_worker=1 learning.num_updates=1000"
).split()


def test_from_no_gpu_node_to_two_and_back_with_one_killed_on_the_way(tmp_path: Path) -> None:
    with session_folder() as sockets, LocalNodes(sockets, autoscaling=AUTOSCALING) as nodes:
        nodes.environment |= {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "AUTOSCALER_HEARTBEAT_TIMEOUT_S": "5",
        }
        head = nodes.start_head()
        (own,) = head.named("raylet")
        joined: set[int] = set()  # raylets seen, by pid

        def gpu_nodes() -> list[psutil.Process]:
            there = [raylet for raylet in head.named("raylet") if raylet != own]
            joined.update(raylet.pid for raylet in there)
            return there

        assert gpu_nodes() == []
        err = tmp_path / "err"
        with err.open("wb") as stream:
            run = subprocess.Popen(
                [sys.executable, "-m", "recache_ray.cli.main", "train", *SETTINGS, f"runtime.address={nodes.address}"],
                cwd=tmp_path,
                env={**nodes.environment, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=stream,
            )
        try:
            wait_until(lambda: len(gpu_nodes()) == NODES and updates(tmp_path) >= 2, run, err)
            gpu_nodes()[0].kill()
            wait_until(lambda: len(gpu_nodes()) == NODES, run, err)
            wait_until(lambda: run.poll() is not None, None, err)
            said = err.read_text()
            assert run.returncode == 0, said
            assert "lost rollout-" in said, "a node was killed and nobody noticed"
            assert (tmp_path / "runs" / "smoke" / "schedules.json").exists()
            wait_until(lambda: not gpu_nodes(), None, err)
        finally:
            run.kill()
            run.wait()
        assert len(joined) > NODES, "the killed node was never replaced"


def updates(folder: Path) -> int:
    metrics = folder / "runs" / "smoke" / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def wait_until(condition: Callable[[], bool], run: subprocess.Popen[bytes] | None, err: Path) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert run is None or run.poll() is None, err.read_text()
        assert time.monotonic() < deadline, err.read_text()
        time.sleep(0.2)
