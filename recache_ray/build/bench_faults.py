"""The verb ``bench faults``: a training damaged in every role ends as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from threading import Event
from typing import Any

import torch

from recache_ray.build.progress import OnProgress
from recache_ray.build.soak.account import count_problems, differences, fingerprint, weights
from recache_ray.build.soak.harness import NODES, PLACES, Harness, Hit, Tally
from recache_ray.build.soak.job import SoakJob
from recache_ray.build.soak.strikes import draw_strikes
from recache_ray.build.soak.workload import Workload
from recache_ray.config.faults import ROLES
from recache_ray.config.root import Config
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.local_nodes import LocalNodes
from recache_ray.distributed.session_folder import session_folder
from recache_ray.tracking.provenance import provenance

_UNDISTURBED_SHARE = 0.65  # of the time asked for; the rest goes into starting again what was killed
_STARTUP_S = 60.0


def bench_faults(config: Config, on_progress: OnProgress) -> tuple[str, bool]:
    """Train in peace, train under faults, compare; text, and whether everything held.

    What was drawn, hit and found also goes to ``run.dir/bench_faults.json``, both runs are kept beside it.

    Raises:
        BadInputError: if a role is unknown.
        RunFailedError: if the local cluster does not start, or the training fails by itself.
    """
    section = config.faults
    task_timeout_s = max(12.0, 8 * section.task_s)
    training_s = _UNDISTURBED_SHARE * section.seconds
    strikes = draw_strikes(section.roles, ROLES, section.kills, training_s, task_timeout_s / 2, config.run.seed)
    updates = max(2, int(training_s / section.task_s))
    top = Path(config.run.dir)
    shutil.rmtree(top / "bench_faults", ignore_errors=True)
    disturbed = Workload(str((top / "bench_faults" / "disturbed").absolute()), updates, section.task_s, config.run.seed)
    undisturbed = replace(disturbed, folder=str((top / "bench_faults" / "undisturbed").absolute()), task_s=0.0)
    for work in (disturbed, undisturbed):
        Path(work.folder).mkdir(parents=True)
    _train_in_peace(undisturbed)
    runtime = RuntimeConfig(
        num_workers=NODES * PLACES, min_workers=1, task_timeout_s=task_timeout_s, startup_timeout_s=_STARTUP_S
    )
    with session_folder() as sockets, LocalNodes(sockets) as nodes:
        tally = Harness(nodes, disturbed, runtime, strikes, on_progress).run()
    problems = [*_tally_problems(tally, section.kills), *count_problems(disturbed)]
    problems += differences(Path(disturbed.folder), Path(undisturbed.folder))
    output = top / "bench_faults.json"
    record = {
        **provenance(config.run.seed),
        "settings": asdict(section),
        "updates": updates,
        "tasks_counted": disturbed.tasks,
        "tasks_begun": disturbed.executed(),
        "weights_sha256": fingerprint(weights(Path(disturbed.folder))),
        "tally": asdict(tally),
        "by_role": _by_role(tally.hits),
        "problems": problems,
    }
    output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return "\n".join([*_lines(record, tally, problems), f"wrote {output}"]), not problems


def _train_in_peace(workload: Workload) -> None:
    """In this process, on one thread as in the learner actor, and without waiting in the tasks."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        SoakJob(workload).run(lambda record: None, Event())
    finally:
        torch.set_num_threads(threads)


def _tally_problems(tally: Tally, kills: int) -> list[str]:
    problems = []
    if len(tally.hits) < kills:
        problems.append(f"{len(tally.hits)} of {kills} faults injected: the training ended first; raise faults.seconds")
    if tally.unexplained:
        problems.append(f"a driver ended {tally.unexplained} times with no fault to blame")
    if tally.left_hung:
        problems.append(f"{tally.left_hung} hung actors were never ended and would have kept their GPUs")
    return problems


def _by_role(hits: Sequence[Hit]) -> dict[str, dict[str, float]]:
    """Faults by role, and the seconds until the next update after each."""
    found: dict[str, list[float]] = defaultdict(list)
    for hit in hits:
        found[hit.role].append(hit.recovered_s)
    rows = {}
    for role in ROLES:
        seconds = [each for each in found[role] if each == each]
        if found[role]:
            rows[role] = {
                "hits": float(len(found[role])),
                "mean_s": fmean(seconds) if seconds else 0.0,
                "worst_s": max(seconds, default=0.0),
            }
    return rows


def _lines(record: Mapping[str, Any], tally: Tally, problems: Sequence[str]) -> list[str]:
    lines = [
        f"{'role':<10}{'faults':>7}{'next update after, mean':>25}{'worst':>9}",
        *(
            f"{role:<10}{row['hits']:>7.0f}{row['mean_s']:>23.1f} s{row['worst_s']:>7.1f} s"
            for role, row in record["by_role"].items()
        ),
        f"{'all':<10}{len(tally.hits):>7}",
        f"{record['updates']} updates in {tally.seconds:.0f} s with {tally.drivers} drivers; "
        f"{record['tasks_counted']} tasks, {record['tasks_begun']} begun (those of the final search among them)",
    ]
    if problems:
        return [*lines, "MISSED", *(f"  {problem}" for problem in problems)]
    return [
        *lines,
        "every task counted exactly once; weights, rewards and schedules bit-identical with the undisturbed run "
        f"(weights {record['weights_sha256']})",
    ]
