"""A search with Ray Tune on the tiny schedule of shapes: interrupted, gone on with, and what it leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recache_ray.distributed.tuning import Dimension, Search, run_search
from recache_ray.testing.fake_trial import run_fake_trial

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("cluster")]


class Recorder:
    """Keeps what it is told, and interrupts the search after some trainings."""

    def __init__(self, interrupt_after: int = 1000) -> None:
        self.values: dict[str, Mapping[str, Any]] = {}
        self.reports: dict[str, list[int]] = {}
        self.endings: dict[str, str] = {}
        self._interrupt_after = interrupt_after

    def started(self, name: str, values: Mapping[str, Any]) -> None:
        self.values[name] = values

    def reported(self, name: str, updates: int, metrics: Mapping[str, float]) -> None:
        self.reports.setdefault(name, []).append(updates)
        assert set(metrics) == {"score"}

    def ended(self, name: str, status: str) -> None:
        self.endings[name] = status
        if len(self.endings) >= self._interrupt_after:
            raise KeyboardInterrupt


def search(folder: Path, **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "space": (Dimension("rate", "uniform", (0.0, 1.0)),),
        "metric": "score",
        "trials": 5,
        "bundles": ({"CPU": 0.5},),
        "max_updates": 8,
        "concurrent": 1,
        "algorithm": "random",
        "first": {"rate": 0.9},
        "grace": 4,
    }
    return Search(folder=folder, **settings | changes)


def wait_for_state(folder: Path, timeout_s: float = 30.0) -> None:
    """Until what Ray copies into the folder in the background is whole: the next session is in the same process."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            states = [json.loads(file.read_text()) for file in folder.glob("experiment_state-*.json")]
        except ValueError:
            states = []
        if states:
            return
        time.sleep(0.1)
    pytest.fail(f"{folder}: Ray left no readable state of the search")


def test_an_interrupted_search_goes_on_and_stops_hopeless_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")  # these trainings end faster than state is saved
    with pytest.raises(KeyboardInterrupt):
        run_search(search(tmp_path / "search"), run_fake_trial, Recorder(interrupt_after=2))
    wait_for_state(tmp_path / "search")
    after = Recorder()
    results = run_search(search(tmp_path / "search"), run_fake_trial, after)
    assert results is not None and len(results) == 5
    assert len({result.name for result in results}) == 5
    assert [result.values["rate"] for result in results].count(0.9) == 1
    assert len(after.endings) < 5 and set(after.endings.values()) == {"FINISHED"}
    best = max(results, key=lambda result: result.metrics["score"])
    assert best.updates == 8
    assert abs(best.values["rate"] - 0.3) == min(abs(result.values["rate"] - 0.3) for result in results)


def test_a_grid_runs_every_point_to_its_end(tmp_path: Path) -> None:
    space = (Dimension("rate", "grid", (0.1, 0.3)), Dimension("seed", "grid", (1, 2)))
    results = run_search(
        search(tmp_path / "grid", space=space, trials=4, algorithm="all", first=None, grace=None),
        run_fake_trial,
        Recorder(),
    )
    assert results is not None
    points = sorted((result.values["rate"], result.values["seed"], result.updates) for result in results)
    assert points == [(rate, seed, 8) for rate in (0.1, 0.3) for seed in (1, 2)]
    assert json.dumps([dict(result.values) for result in results])
