"""The commands that are said to give a run's results give its settings."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from recache_ray.build.reproduction import EVALUATED, record_evaluation, result_commands
from recache_ray.build.run_folder import save_config
from recache_ray.cli.resolve import resolve
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError

SECTIONS = ("run", "model", "mechanism", "learning", "evaluation")


@pytest.fixture
def trained(tmp_path: Path) -> Config:
    """Settings of a run, saved as training saves them."""
    folder = tmp_path / "my runs"
    (folder / "evaluation").mkdir(parents=True)
    config = load_config(
        {
            "run": {"dir": str(folder), "seed": 3},
            "model": {"num_steps": 12},
            "mechanism": {"kind": "newton", "order": 2},
            "learning": {"budgets": "3..6"},
            "evaluation": {"baselines": ["uniform"]},
            "tracking": {"mlflow": False, "mlflow_uri": "http://me:secret@host:5000"},
        }
    )
    save_config(config, folder / "config.json")
    return config


def test_the_train_command_gives_the_settings_of_the_run(trained: Config) -> None:
    record_evaluation(trained)
    (train,) = result_commands(Path(trained.run.dir))
    assert "tracking" not in train
    again = resolve(shlex.split(train)[2:], {}, "fresh")
    assert all(getattr(again, section) == getattr(trained, section) for section in SECTIONS)


def test_an_evaluation_with_other_settings_is_said(trained: Config) -> None:
    wider = replace(trained.evaluation, baselines=("uniform", "dpcache"), further_prompts=256, budgets="3,4")
    evaluated = replace(trained, evaluation=wider, runtime=replace(trained.runtime, num_workers=7))
    record_evaluation(evaluated)
    _, evaluate = result_commands(Path(trained.run.dir))
    words = shlex.split(evaluate)
    assert words[:2] == ["recache", "evaluate"] and "num_workers" not in evaluate
    again = resolve(words[2:], {}, "existing")
    assert all(getattr(again, section) == getattr(evaluated, section) for section in SECTIONS)


def test_no_password_is_written(trained: Config) -> None:
    record_evaluation(trained)
    for file in ("config.json", EVALUATED):
        text = (Path(trained.run.dir) / file).read_text()
        assert "secret" not in text and "host:5000" in text


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"is .* a run.s folder") as refusal:
        result_commands(tmp_path)
    assert "\n" not in str(refusal.value)
