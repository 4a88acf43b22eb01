from collections.abc import Mapping
from pathlib import Path

import pytest

from recache_ray.tracking.composite import CompositeTracker


class Recorder:
    def __init__(self, run_id: str = "", *, broken: bool = False) -> None:
        self.run_id = run_id
        self.calls: list[object] = []
        self._broken = broken

    def _record(self, *call: object) -> None:
        if self._broken:
            raise RuntimeError("no more")
        self.calls.append(call)

    def log_params(self, params: Mapping[str, object]) -> None:
        self._record("params", params)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._record("metrics", metrics, step)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        self._record("artifact", path, folder)

    def close(self, status: str = "FINISHED") -> None:
        self._record("close", status)


def _use(tracker: CompositeTracker) -> list[object]:
    tracker.log_params({"a": 1})
    tracker.log_metrics({"b": 2.0}, 3)
    tracker.log_artifact(Path("c"), "d")
    tracker.close("FAILED")
    return [("params", {"a": 1}), ("metrics", {"b": 2.0}, 3), ("artifact", Path("c"), "d"), ("close", "FAILED")]


def test_every_tracker_gets_every_call_in_order() -> None:
    recorders = [Recorder(), Recorder("run-7"), Recorder("run-8")]
    tracker = CompositeTracker(recorders)
    assert tracker.run_id == "run-7"
    expected = _use(tracker)
    assert [recorder.calls for recorder in recorders] == [expected] * 3


def test_a_broken_tracker_is_reported_once_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    broken, fine = Recorder(broken=True), Recorder()
    expected = _use(CompositeTracker([broken, fine]))
    assert fine.calls == expected
    assert len(caplog.messages) == 1 and "no more" in caplog.messages[0]
    assert CompositeTracker([broken]).run_id == ""
