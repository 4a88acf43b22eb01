"""What a comparer in a process of its own answers, refuses and survives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules import Schedule
from recache_ray.serving.compared import Compared
from recache_ray.serving.comparer_process import ComparerProcess

_SCHEDULE = Schedule(10, (0, 3, 7))


class Scripted:
    """Stands for a comparer with a model."""

    def __init__(self, reason: str = "") -> None:
        if reason:
            raise BadInputError(reason)

    def compare(self, prompt: str, seed: int, schedule: Schedule) -> Compared:
        if prompt == "refuse":
            raise BadInputError("the prompt is refused, says the model")
        if prompt == "die":
            os._exit(9)
        picture = Image.new("RGB", (4, 4), (seed, 0, 0))
        return Compared(picture, picture, picture, schedule, os.getpid(), 0.1, 0.2, 0.0, 100.0)


@pytest.fixture
def comparer() -> Iterator[ComparerProcess]:
    process = ComparerProcess(Scripted)  # type: ignore[arg-type]
    yield process
    process.close()


def test_pictures_and_reasons_come_from_another_process(comparer: ComparerProcess) -> None:
    comparer.wait()
    compared = comparer.compare("a star", 7, _SCHEDULE)
    assert compared.result.getpixel((0, 0)) == (7, 0, 0) and compared.schedule == _SCHEDULE
    assert compared.computed_steps != os.getpid()
    with pytest.raises(BadInputError, match="the prompt is refused, says the model"):
        comparer.compare("refuse", 0, _SCHEDULE)
    assert comparer.compare("a star", 8, _SCHEDULE).computed_steps == compared.computed_steps


def test_why_it_cannot_begin_is_said_as_it_was_there() -> None:
    process = ComparerProcess(partial(Scripted, "model.path: is not a model"))  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match=r"^model.path: is not a model$"):
        process.wait()
    process.close()


def test_its_end_is_one_line_and_stays_so(comparer: ComparerProcess) -> None:
    for _ in range(2):
        with pytest.raises(RunFailedError, match="the model's process ended"):
            comparer.compare("die", 0, _SCHEDULE)


def test_it_does_not_outlive_a_page_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text(
        "import os\n"
        "from test_comparer_process import Scripted, _SCHEDULE\n"
        "from recache_ray.serving.comparer_process import ComparerProcess\n"
        "if __name__ == '__main__':\n"
        "    print(ComparerProcess(Scripted).compare('a star', 1, _SCHEDULE).computed_steps, flush=True)\n"
        "    os._exit(0)\n",
        encoding="utf-8",
    )
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    model = int(done.stdout)
    deadline = time.monotonic() + 20
    while _runs(model):
        assert time.monotonic() < deadline, "the model's process is still there"
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
