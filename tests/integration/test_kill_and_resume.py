"""The promise of the synchronous mode: whatever is killed, the resumed run ends with the same bits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from recache_ray.build.pool import open_pool
from recache_ray.build.training_job import TrainingJob, TrainOutcome
from recache_ray.cli.resolve import resolve
from recache_ray.learning.progress import Progress

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SETTINGS = (
    "model.kind=flux model.path=model model.height=32 model.width=32 model.num_steps=6 model.max_text_tokens=16 "
    "prompts.file=prompts.txt prompts.num_train=3 prompts.num_validation=1 prompts.num_test=1 "
    "learning.budgets=2..4 learning.num_updates=14 learning.siblings=2 learning.polish_evaluations=12 "
    "evaluation.bootstrap_samples=100 evaluation.grid_prompts=1 evaluation.random_schedules=1 "
    "evaluation.calibration_prompts=2 runtime=local runtime.num_workers=2 runtime.cpus_per_worker=0 tracking=jsonl"
).split()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recache_ray.testing.tiny_flux import tiny_flux_pipeline

    folder = tmp_path_factory.mktemp("kill")
    tiny_flux_pipeline().save_pretrained(folder / "model")
    (folder / "prompts.txt").write_text("a red star\na blue circle\na green square\na white ring\na black cross\n")
    return folder


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> bytes:
    """Policy weights of a run that nothing happened to, in this process without Ray."""
    arguments = [setting for setting in SETTINGS if not setting.startswith("runtime=")]
    finish(start(place, "calm", [*arguments, "runtime=inline"]), place, "calm")
    return weights(place / "calm")


def test_a_run_killed_in_the_middle_resumes_to_the_same_weights(place: Path, undisturbed: bytes) -> None:
    process = start(place, "killed", SETTINGS)
    wait_for(lambda: checkpoints(place / "killed") >= 3, process)
    process.kill()
    process.wait()
    assert not (place / "killed" / "schedules.json").exists()

    err = finish(start(place, "killed", SETTINGS), place, "killed")
    assert "resuming" in err
    assert weights(place / "killed") == undisturbed
    steps = [re.search(r'"step": ?(\d+)', line) for line in (place / "killed" / "metrics.jsonl").open()]
    updates = [int(step[1]) for step in steps if step][:14]
    assert updates == list(range(1, 15))


def test_a_rollout_actor_killed_on_the_way_changes_nothing(place: Path, undisturbed: bytes) -> None:
    process = start(place, "actor", SETTINGS)
    wait_for(lambda: checkpoints(place / "actor") >= 2, process)
    victims = rollout_actors(process.pid)
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    err = finish(process, place, "actor")
    assert "lost" in err or "died" in err, err
    assert weights(place / "actor") == undisturbed


def test_an_interruption_during_the_evaluation_ends_it_soon_and_loses_nothing(
    place: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    job = inline_job("late")
    outcome, _ = stopped_in("evaluate", job)
    assert outcome.interrupted and "goes on evaluating" in outcome.text
    assert weights(place / "late") == undisturbed
    assert not (place / "late" / "evaluation" / "frontier.csv").exists()
    assert not job.run(lambda _: None, Event()).interrupted
    assert (place / "late" / "evaluation" / "frontier.csv").exists()
    assert weights(place / "late") == undisturbed


def test_an_interruption_while_references_are_made_ends_it_soon(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    job = inline_job("first", "references.dir=new_references", "references.requests_per_task=1")
    outcome, phases = stopped_in("references", job)
    assert outcome.interrupted and "to resume first" in outcome.text
    assert phases.count("references") == 1 and phases[-1] == "references"


def test_an_interruption_during_the_calibration_of_rivals_ends_it_soon(
    place: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    job = inline_job("early")
    outcome, phases = stopped_in("calibrate", job)
    assert outcome.interrupted and "to resume early" in outcome.text
    assert phases.count("calibrate") == 1 and phases[-1] == "calibrate"
    assert not job.run(lambda _: None, Event()).interrupted
    assert weights(place / "early") == undisturbed


def inline_job(name: str, *settings: str) -> TrainingJob:
    inline = [setting for setting in SETTINGS if not setting.startswith("runtime=")]
    return TrainingJob(resolve([f"run.dir={name}", *inline, "runtime=inline", *settings], {}, "fresh"), open_pool)


def stopped_in(phase: str, job: TrainingJob) -> tuple[TrainOutcome, list[str]]:
    """Run it and set its stop event at the first report of a phase; the outcome, and everything it reported."""
    stop, reported = Event(), []

    def listen(progress: Progress | str) -> None:
        reported.append(progress.phase if isinstance(progress, Progress) else progress)
        if reported[-1] == phase:
            stop.set()

    return job.run(listen, stop), reported


def start(place: Path, name: str, settings: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "recache_ray.cli.main", "train", f"run.dir={name}", *settings],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=(place / f"{name}.err").open("w"),  # a pipe would stay open as long as any process of Ray's
    )


def finish(process: subprocess.Popen[bytes], place: Path, name: str) -> str:
    assert process.wait(timeout=280) == 0, (place / f"{name}.err").read_text()
    return (place / f"{name}.err").read_text()


def weights(run: Path) -> bytes:
    return (run / "policy" / "model.safetensors").read_bytes()


def checkpoints(run: Path) -> int:
    """The newest checkpoint's number; older ones are removed."""
    found = [int(path.parent.name.split("-")[1]) for path in run.glob("checkpoints/checkpoint-*/checksums.json")]
    return max(found, default=0)


def rollout_actors(driver: int) -> list[int]:
    """Processes below ``driver`` that Ray has titled as rollout actors."""
    parents, titles = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
                parents[int(folder.name)] = int(status.rsplit(")", 1)[1].split()[1])
                titles[int(folder.name)] = (folder / "cmdline").read_text()
            except OSError:
                continue

    def below(pid: int) -> bool:
        while pid in parents:
            if pid == driver:
                return True
            pid = parents[pid]
        return False

    return sorted(pid for pid, title in titles.items() if title.startswith("ray::RolloutHost") and below(pid))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], timeout_s: float = 200.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
