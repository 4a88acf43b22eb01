"""The account of a damaged run sees a task lost, counted twice or counted in another update."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from recache_ray.build.soak.account import count_problems, counted, differences, weights
from recache_ray.build.soak.job import COUNTED, SoakJob
from recache_ray.build.soak.workload import TASKS_PER_UPDATE, Workload
from recache_ray.learning.progress import Progress

UPDATES = 5


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    workload = Workload(str(tmp_path_factory.mktemp("calm")), UPDATES, 0.0, seed=3)
    assert SoakJob(workload).run(lambda record: None, Event()) == "done"
    return workload


def test_a_run_left_in_peace_counts_every_task_once(finished: Workload) -> None:
    folder = Path(finished.folder)
    assert count_problems(finished) == []
    assert differences(folder, folder) == []
    assert [task for line in counted(folder) for task in line["tasks"]] == list(range(UPDATES * TASKS_PER_UPDATE))
    assert finished.executed() >= finished.tasks


def test_a_resumed_run_ends_alike_and_counts_once(finished: Workload, tmp_path: Path) -> None:
    workload = replace(finished, folder=str(tmp_path))
    stop = Event()

    def interrupt(record: Progress | str) -> None:
        if isinstance(record, Progress) and record.done == 2:
            stop.set()

    assert SoakJob(workload).run(interrupt, stop) == "interrupted"
    assert len(counted(tmp_path)) == 2
    # as if it had been killed after an update and before its checkpoint
    with (tmp_path / COUNTED).open("a") as record:
        record.write(json.dumps({"update": 3, "tasks": [8], "rewards": [0.0]}) + "\n")
    assert SoakJob(workload).run(lambda record: None, Event()) == "done"
    assert count_problems(workload) == []
    assert differences(tmp_path, Path(finished.folder)) == []


def lose(lines: list[dict[str, Any]]) -> None:
    lines[2]["tasks"].pop()


def double(lines: list[dict[str, Any]]) -> None:
    lines[3]["tasks"].append(lines[3]["tasks"][0])


def stray(lines: list[dict[str, Any]]) -> None:
    lines[1]["tasks"][0], lines[2]["tasks"][0] = lines[2]["tasks"][0], lines[1]["tasks"][0]


def invent(lines: list[dict[str, Any]]) -> None:
    lines[-1]["tasks"].append(UPDATES * TASKS_PER_UPDATE)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose, "tasks never counted: 1, first [11]"),
        (double, "tasks counted twice: 1, first [12]"),
        (stray, "updates that counted tasks of another: 2, first [2, 3]"),
        (invent, "tasks that are none of the run's: 1, first [20]"),
    ],
)
def test_what_is_wrong_is_found(
    finished: Workload, tmp_path: Path, damage: Callable[[list[dict[str, Any]]], None], says: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished.folder, folder)
    lines = counted(folder)
    damage(lines)
    (folder / COUNTED).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert says in count_problems(replace(finished, folder=str(folder)))
    assert differences(folder, Path(finished.folder)) == [
        "the rewards of some update differ from the undisturbed run's"
    ]


def test_an_update_missing_from_the_metrics_is_found(finished: Workload, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished.folder, folder)
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[1:]))
    (problem,) = count_problems(replace(finished, folder=str(folder)))
    assert problem.startswith("metrics.jsonl does not hold every update")


def test_other_weights_and_no_weights_are_told_apart_from_equal_ones(finished: Workload, tmp_path: Path) -> None:
    folder, original = tmp_path / "other", Path(finished.folder)
    shutil.copytree(original, folder)
    model = folder / "policy" / "model.safetensors"
    model.write_bytes(weights(original)[:-1] + bytes([weights(original)[-1] ^ 1]))
    assert differences(folder, original)[0].startswith("weights differ: ")
    model.unlink()
    assert differences(folder, original)[0].startswith("weights differ: ")
