"""The verb ``bench step`` on the embedded model, and that budgets in time then resolve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from recache_ray.build.budgets import learning_budgets
from recache_ray.cli.main import main
from recache_ray.config.root import load_config
from recache_ray.diffusion.architecture import Size, architecture_of_folder
from recache_ray.diffusion.forward_cost import count_forward
from recache_ray.diffusion.shapes import model_path
from recache_ray.testing.tiny_flux import tiny_flux_pipeline


def test_what_is_measured_resolves_budgets_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = [f"run.dir={run}", "model.num_steps=4", "learning.budgets=2..3"]
    assert main(["bench", "step", *arguments]) == 0
    printed = capsys.readouterr().out
    assert f"wrote {run / 'step_cost.json'}" in printed
    cost = json.loads((run / "step_cost.json").read_text())["cost"]
    assert f"({cost['computed_flops'] / cost['computed_s'] / 1e12:.3g} TFLOP/s)" in printed
    counted = count_forward(architecture_of_folder(model_path(), 24), Size(64, 64))
    assert (cost["computed_flops"], cost["cached_flops"]) == (counted.flops, counted.cached_flops)
    assert 0 < cost["cached_s"] < cost["computed_s"]
    three_ms = 1000 * (3 * cost["computed_s"] + cost["cached_s"])
    values = {"run": {"dir": str(run)}, "model": {"num_steps": 4}, "learning": {"budgets": f"{three_ms + 0.01:.3f}ms"}}
    assert learning_budgets(load_config(values)) == (3,)

    (run / "config.json").write_text("{}")
    assert main(["bench", "step", f"run.dir={run}", "model.num_steps=4", "learning.budgets=250ms"]) == 2
    assert "holds a run whose budgets are times" in capsys.readouterr().err


def test_random_weights_cost_the_flops_of_the_real_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_flux_pipeline().save_pretrained(tmp_path / "model")
    settings = ["model.kind=flux", f"model.path={tmp_path / 'model'}", "model.max_text_tokens=16", "model.num_steps=6"]
    settings += ["model.height=32", "model.width=32"]
    costs = []
    for random in ("false", "true"):
        run = tmp_path / random
        assert main(["bench", "step", *settings, f"run.dir={run}", f"bench.random_weights={random}"]) == 0
        assert ("random weights" in capsys.readouterr().out) == (random == "true")
        document = json.loads((run / "step_cost.json").read_text())
        costs.append((document["model"]["id"], document["cost"]["computed_flops"], document["cost"]["cached_flops"]))
    assert costs[0] == costs[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_nothing_is_asked_for_that_a_step_does_not_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["model=flux_dev", "model.device=cuda", "bench.random_weights=true", f"run.dir={tmp_path}"]
    assert main(["bench", "step", *settings]) == 2
    assert "this process sees no GPU" in capsys.readouterr().err  # and not that prompts.file is empty
