"""What a search reports, also after it was interrupted."""

from pathlib import Path

from recache_ray.build.tune_tracking import TrialTracking
from recache_ray.config.root import load_config


def test_trainings_are_counted_on_from_before_an_interruption(tmp_path: Path) -> None:
    said: list[str] = []
    config = load_config({"tracking": {"mlflow": False}, "run": {"dir": str(tmp_path)}})

    def tracking(stage: str) -> TrialTracking:
        return TrialTracking(config, tmp_path, stage, 3, said.append)

    with tracking("search") as first:
        for name in ("a", "b"):
            first.started(name, {"learning.learning_rate": 0.1})
        first.reported("a", 4, {})
        first.ended("a", "FINISHED")
    with tracking("search") as again:
        for name in ("b", "c"):
            again.started(name, {"learning.learning_rate": 0.1})
            again.ended(name, "FINISHED")
    with tracking("confirm") as other:
        other.started("d", {})
        other.ended("d", "FAILED")
    assert [line.split("  ")[0] for line in said] == ["search 1/3", "search 2/3", "search 3/3", "confirm 1/3"]
