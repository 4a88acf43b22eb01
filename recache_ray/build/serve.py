"""The verb ``serve``, and the application that ``serve deploy cluster/serve.yaml`` names."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from recache_ray.build.offer import make_offer
from recache_ray.build.progress import OnProgress
from recache_ray.build.quick_imports import quick_imports
from recache_ray.build.run_folder import saved_config
from recache_ray.config.knobs import from_mapping
from recache_ray.config.root import Config
from recache_ray.config.serving import ServeConfig
from recache_ray.distributed.cluster import connect
from recache_ray.distributed.engine_host import HostedEngines, start_hosts
from recache_ray.distributed.free_port import check_free
from recache_ray.errors import BadInputError

if TYPE_CHECKING:
    # the process that waits beside the replicas has no use for torch
    from recache_ray.serving.engine import PictureEngine

_NO_RAY_SERVE = "recache serve: needs Ray Serve ({}); install it: pip install 'recache_ray[serve]'"
_ARGUMENTS = ("run_dir", "max_batch", "batch_wait_s", "max_prompt_chars")


def serve(config: Config, on_progress: OnProgress) -> str:
    """Serve the run's model until interrupted.

    Raises:
        BadInputError: if the run is not trained, Ray Serve is missing or the port is in use.
        RunFailedError: if a replica does not start.
    """
    section = config.serve
    offer = make_offer(config)
    if find_spec("fastapi") is None:  # before a cluster is started: importing Ray Serve itself takes seconds
        raise BadInputError(_NO_RAY_SERVE.format("No module named 'fastapi'"))
    check_free(section.host, section.port)
    runtime = replace(
        config.runtime,
        num_workers=section.replicas,
        min_workers=section.replicas,
        cpus_per_worker=section.cpus_per_replica,
        gpus_per_worker=section.gpus_per_replica,
    )
    try:
        # Ray Serve is imported while the processes of the cluster start
        with ThreadPoolExecutor(1) as ahead:
            imported = ahead.submit(_picture_server)
            with connect(runtime, on_progress, lean=True):
                # and the models are loaded while Ray Serve starts
                hosts = start_hosts(partial(_make_engine, config), section)
                server = imported.result()
                application = server.picture_application(partial(HostedEngines, hosts), offer, section, hosted=True)
                server.run_server(application, section, on_progress)
    except KeyboardInterrupt:
        return "stopped"
    return ""


def application(arguments: Mapping[str, Any]) -> Any:
    """What ``import_path`` of a Ray Serve configuration names; replicas and resources stand in that file.

    Args:
        arguments: ``run_dir``, the folder of a trained run on every node, and of :class:`ServeConfig` ``max_batch``,
            ``batch_wait_s`` and ``max_prompt_chars``.

    Raises:
        BadInputError: if an argument is not one of these, or the run is not trained.
    """
    if unknown := sorted(set(arguments) - set(_ARGUMENTS)):
        raise BadInputError(f"args: unknown {', '.join(unknown)}; there are {', '.join(_ARGUMENTS)}")
    folder = Path(str(arguments.get("run_dir", "")))
    if not (folder / "config.json").is_file():
        raise BadInputError(
            f"run_dir = {str(folder)!r}: holds no run (no config.json); give the folder of a trained run"
        )
    config = saved_config(folder / "config.json")
    values = {name: value for name, value in arguments.items() if name != "run_dir"}
    section = from_mapping(ServeConfig, values, "args.")
    config = replace(config, run=replace(config.run, dir=str(folder)), serve=section)
    offer = make_offer(config)
    server = _picture_server()
    return server.picture_application(partial(_make_engine, config), offer, section, hosted=False)


def _picture_server() -> ModuleType:
    try:
        from recache_ray.distributed import picture_server
    except ImportError as error:
        raise BadInputError(_NO_RAY_SERVE.format(error)) from error
    return picture_server


def _make_engine(config: Config) -> PictureEngine:
    with quick_imports():
        from recache_ray.build.picture_engine import make_engine

        return make_engine(config)
