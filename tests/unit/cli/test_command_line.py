"""What a job is given on its command line resolves to what was asked for here."""

from __future__ import annotations

import dataclasses

import pytest

from recache_ray.cli.command_line import typed_settings
from recache_ray.cli.resolve import resolve

CASES = [
    [],
    ["runtime=cluster", "runtime.num_workers=3", "runtime.min_workers=2"],
    ["experiment=smoke", "mechanism=newton2", "tracking=jsonl"],
    [
        "run.dir=/shared/runs/it's a 'test'",
        "references.dir=/shared/a, b/${run.seed}/=x",
        "model.negative_prompt='2024'",
    ],
    ["evaluation.baselines=[uniform,random]", "learning.budgets=3..5,x4", "learning.learning_rate=1e-3"],
    ["model.negative_prompt=\\${run.dir} {a: b} [c]", "tracking.mlflow=false", "evaluation.baselines=[]"],
    ["model=flux_dev", "prompts.file=p.txt", "reward=published"],
]


@pytest.mark.parametrize("arguments", CASES, ids=lambda arguments: " ".join(arguments)[:30] or "none")
def test_the_settings_come_back(arguments: list[str]) -> None:
    config = resolve(arguments, {}, "fresh")
    assert resolve(typed_settings(config), {}, "fresh") == config


def test_nothing_is_said_of_defaults_and_of_sections_left_out() -> None:
    assert typed_settings(resolve([], {}, "fresh")) == []
    config = resolve(["submit.job_id=a", "run.seed=4"], {}, "fresh")
    assert typed_settings(config, but=("submit",)) == ["run.seed=4"]
    assert resolve(["run.seed=4"], {}, "fresh") == dataclasses.replace(config, submit=type(config.submit)())
