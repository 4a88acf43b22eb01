"""Schedules carried to another number of steps, on tiny real pipelines in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest
import torch
from PIL import Image

from recache_ray.build import transfer as verb
from recache_ray.build.progress import OnProgress
from recache_ray.build.transfer import transfer
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import LPIPS_FLOOR
from recache_ray.evaluation.transfer import TRANSFER
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.references.store import ReferenceStore
from recache_ray.rollouts.inline import InlinePool
from recache_ray.rollouts.worker import RolloutWorker
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.testing.tiny_worker import DifferenceScorer

HERE = {2: Schedule(6, (0, 3)), 3: Schedule(6, (0, 1, 4)), 5: Schedule(6, (0, 1, 2, 3, 5))}
THERE = {2: Schedule(4, (0, 1)), 3: Schedule(4, (0, 2, 3))}


def write_run(folder: Path, schedules: dict[int, Schedule], model: dict[str, Any], **sections: Any) -> Config:
    """A finished run of the T of its schedules."""
    num_steps = next(iter(schedules.values())).num_steps
    settings = {
        "run": {"dir": str(folder)},
        "model": {"num_steps": num_steps},
        "references": {"dir": str(folder.parent / f"references_{folder.name}")},
        "prompts": {"num_train": 2, "num_validation": 1, "num_test": 3},
        "learning": {"budgets": ",".join(map(str, schedules))},
        "evaluation": {"bootstrap_samples": 100},
        "runtime": {"kind": "inline"},
    }
    config = load_config({name: {**settings.get(name, {}), **sections.get(name, {})} for name in settings | sections})
    policy = BudgetPolicy(num_steps, list(schedules))
    policy.save_pretrained(folder / "policy")
    ScheduleTable(num_steps, schedules, model).save(folder / "schedules.json")
    (folder / "config.json").write_text(json.dumps(to_mapping(config)), encoding="utf-8")
    return config


def asking(config: Config, **settings: Any) -> Config:
    return load_config({**to_mapping(config), "transfer": settings})


@contextmanager
def tiny_pool(config: Config, on_progress: OnProgress) -> Iterator[InlinePool]:
    torch.set_num_threads(1)
    adapter = tiny_adapter(config.model.num_steps)
    store = ReferenceStore.open(config.references.dir, adapter.identity())
    yield InlinePool(RolloutWorker(adapter, store, DifferenceScorer(), 32, "w0"))


def test_carried_schedules_are_measured_beside_those_trained_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "open_pool", tiny_pool)
    config = write_run(tmp_path / "here", HERE, {"id": "tiny", "num_steps": 6})
    other = write_run(tmp_path / "there", THERE, {"id": "tiny", "num_steps": 4})
    text = transfer(asking(config, num_steps=[4, 9], against=[other.run.dir]), lambda _: None)

    folder = tmp_path / "here" / "evaluation"
    assert sorted(path.name for path in folder.iterdir()) == ["transfer.csv", "transfer.parquet", "transfer.png"]
    rows = TRANSFER.read(folder / "transfer.parquet")
    found = {(row.num_steps, row.schedule, row.budget): row for row in rows}
    uniform = ("uniform", "uniform_warm", "uniform_ends")
    assert set(found) == {
        *((4, name, k) for name in ("carried", "trained", *uniform) for k in (2, 3)),
        *((9, name, k) for name in ("carried", *uniform) for k in (2, 3, 5)),
    }
    for (num_steps, name, budget), row in found.items():
        carried = found[num_steps, "carried", budget]
        assert row.from_num_steps == 6 and row.num_samples == 3 and len(row.compute_steps) == budget
        assert row.ratio == pytest.approx(max(carried.lpips, LPIPS_FLOOR) / max(row.lpips, LPIPS_FLOOR))
        assert row.ratio_ci_low - 1e-12 <= row.ratio <= row.ratio_ci_high + 1e-12
        if name == "carried":
            assert row.compute_steps == HERE[budget].resampled(num_steps).compute_steps and row.ratio == 1
        if name == "trained":
            assert row.compute_steps == THERE[budget].compute_steps
    table = pyarrow.csv.read_csv(folder / "transfer.csv")
    assert table.num_rows == len(rows) and table["compute_steps"][0].as_py() == "0 2"
    with Image.open(folder / "transfer.png") as picture:
        assert picture.width > picture.height
    lines = text.splitlines()
    assert [line.split()[0] for line in lines if "/" in line and "wrote" not in line] == [
        "2/4", "3/4", "2/9", "3/9", "5/9"
    ]  # fmt: skip
    (with_run,) = [line for line in lines if line.startswith("T = 6 carried to 4, 3 prompts: ")]
    (without,) = [line for line in lines if line.startswith("T = 6 carried to 9, 3 prompts: ")]
    assert "schedules trained at 4" in with_run and "trained at" not in without
    assert (tmp_path / "references_there" / "manifest.json").exists()
    assert (tmp_path / "references_here_t9" / "manifest.json").exists()
    assert not (tmp_path / "references_here").exists()


@pytest.mark.parametrize(
    ("asked", "other", "message"),
    [
        ({}, {}, r"transfer.num_steps: must be given; add"),
        ({"num_steps": [6]}, {}, r"transfer.num_steps = 6: is where the run was trained"),
        ({"num_steps": [1]}, {}, r"transfer.num_steps = 1: must be between 2, the smallest budget, and 1000"),
        ({"num_steps": [9], "against": ["there"]}, {}, r"there: was trained at 4 steps, .* lacks; add 4 there"),
        ({"num_steps": [4], "against": ["nowhere"]}, {}, r"nowhere: has no config.json; name a finished run"),
        ({"num_steps": [4], "against": ["there", "there"]}, {}, r"there: is a second run of 4 steps, after there"),
        (
            {"num_steps": [4], "against": ["there"]},
            {"mechanism": {"kind": "reuse"}},
            r"mechanism.kind = 'reuse' \(this run has 'taylor'\); name a run",
        ),
        (
            {"num_steps": [4], "against": ["there"]},
            {"table": {"id": "tiny", "revision": "b"}},
            r"revision of the model = 'b' \(this run has 'a'\); name a run",
        ),
        (
            {"num_steps": [4], "against": ["there"]},
            {"prompts": {"num_test": 1}},
            r"there: learned from or chose by 2 of the 3 prompts .*; lower prompts.num_test",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], other: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verb, "open_pool", None)
    config = write_run(Path("here"), HERE, {"id": "tiny", "revision": "a"})
    write_run(Path("there"), THERE, other.pop("table", {"id": "tiny", "revision": "a"}), **other)
    with pytest.raises(BadInputError, match=message) as caught:
        transfer(asking(config, **asked), lambda _: None)
    assert "\n" not in str(caught.value)


def test_budgets_that_were_not_learned_and_a_single_prompt_are_refused(tmp_path: Path) -> None:
    config = write_run(tmp_path / "here", HERE, {})
    values = to_mapping(asking(config, num_steps=[9]))
    with pytest.raises(BadInputError, match="budget = 4: not in this table; it has 2, 3, 5"):
        transfer(load_config({**values, "evaluation": {"budgets": "3,4"}}), lambda _: None)
    with pytest.raises(BadInputError, match=r"test prompts: 1, must be at least 2 .*; raise prompts.num_test"):
        transfer(load_config({**values, "prompts": {"num_test": 1}}), lambda _: None)
