"""The schedules that polishing is told of before it searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recache_ray.build.rivals import check_rivals, search_prior
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.learning.prior import Prior
from recache_ray.references.store import ReferenceStore
from recache_ray.rollouts.inline import InlinePool
from recache_ray.rollouts.worker import RolloutWorker
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.testing.tiny_worker import DifferenceScorer
from recache_ray.types import MechanismSpec, ModelReport

NUM_STEPS = 8


def make_config(folder: Path, *rivals: str, **learning: Any) -> Config:
    return load_config(
        {
            "run": {"dir": str(folder / "run")},
            "references": {"dir": str(folder / "references")},
            "model": {"num_steps": NUM_STEPS},
            "prompts": {"num_train": 2, "num_validation": 1, "num_test": 1},
            "learning": {"budgets": "3..4", "rivals": list(rivals), **learning},
            "evaluation": {"calibration_prompts": 2},
        }
    )


def prior_of(config: Config) -> Prior:
    torch.set_num_threads(1)
    adapter = tiny_adapter(NUM_STEPS)
    store = ReferenceStore.open(config.references.dir, adapter.identity())
    pool = InlinePool(RolloutWorker(adapter, store, DifferenceScorer(), 32, "w0"))
    report = ModelReport(0, {"model_id": "tiny"}, 1.0, 1.0, 1.0, 1.0, "w0")
    return search_prior(config, pool, MechanismSpec("taylor", 1), report, lambda _: None)


def test_rivals_are_calibrated_and_given_once_each_for_every_budget(tmp_path: Path) -> None:
    found = prior_of(make_config(tmp_path, "uniform", "uniform_warm", "dpcache_exact", "cache_dit")).rivals
    assert set(found) == {3, 4}
    for budget, schedules in found.items():
        assert len(set(schedules)) == len(schedules) >= 2
        assert all(schedule.budget == budget and schedule.num_steps == NUM_STEPS for schedule in schedules)
    assert (tmp_path / "run" / "calibration" / "residuals.json").exists()


def test_residuals_predict_the_cost_of_every_schedule(tmp_path: Path) -> None:
    found = prior_of(make_config(tmp_path, "uniform", "dpcache_exact"))
    assert found.predicted_cost is not None
    for budget, schedules in found.rivals.items():
        costs = {schedule: found.predicted_cost(schedule) for schedule in every_schedule(NUM_STEPS, budget)}
        assert min(costs, key=costs.__getitem__) in schedules
        assert 0.0 < min(costs.values()) < max(costs.values())
    assert 0.0 < found.predicted_cost(Schedule.full(NUM_STEPS)) < min(costs.values())


def test_without_residuals_nothing_is_predicted(tmp_path: Path) -> None:
    assert prior_of(make_config(tmp_path, "uniform", "uniform_warm")).predicted_cost is None


def test_without_a_polish_nothing_is_calibrated(tmp_path: Path) -> None:
    assert prior_of(make_config(tmp_path, "dpcache", polish_evaluations=0)) == Prior()
    assert not (tmp_path / "run" / "calibration").exists()


@pytest.mark.parametrize(
    ("rival", "message"),
    [
        ("unifrom", r"learning.rivals: unknown baseline 'unifrom'; did you mean uniform\?"),
        ("teacache", r"learning.rivals: 'teacache' has no schedule of its own before it has run"),
        ("random", r"learning.rivals: 'random' has no schedule"),
    ],
)
def test_what_has_no_schedule_is_refused(tmp_path: Path, rival: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        check_rivals(make_config(tmp_path, rival))
