"""The driver of the damaged training, a process that can be killed: ``python -m recache_ray.build.soak.driver``."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

from recache_ray.build.soak.job import SoakJob
from recache_ray.build.soak.workload import Workload
from recache_ray.config.knobs import from_mapping
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.errors import RecacheError


def main(settings: dict[str, Any]) -> int:
    """Join the cluster at ``runtime.address`` and do the job; exit status 0 once it is done."""
    from recache_ray.distributed.cluster import connect
    from recache_ray.distributed.learner_actor import run_in_actor

    runtime = from_mapping(RuntimeConfig, settings["runtime"], "runtime.")
    job = partial(SoakJob, Workload(**settings["workload"]), runtime)

    def tell(event: object) -> None:
        if isinstance(event, str):
            print(event, flush=True)

    try:
        with connect(runtime):
            outcome = run_in_actor(job, tell, max_restarts=settings["max_restarts"])
    except RecacheError as error:
        print(f"recache: error: {error}", flush=True)
        return error.exit_status
    print(outcome, flush=True)
    return 0 if outcome == "done" else 1


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
