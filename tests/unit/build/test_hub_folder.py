"""``export to=hub``: the folder loads like a repository, and its card holds the run's own figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from recache_ray import BudgetPolicy, ScheduleTable
from recache_ray.build.export import export
from recache_ray.build.verify import verify
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import read_frontier
from recache_ray.evaluation.model_card import model_card
from recache_ray.evaluation.table import compare
from recache_ray.schedules import Schedule
from recache_ray.testing.evaluated_run import write_evaluated_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evaluated_run(tmp_path_factory.mktemp("runs") / "shared")


def config_of(run: Path, **settings: str) -> Config:
    return load_config({"run": {"dir": str(run)}, "export": {"to": "hub", **settings}})


def test_the_folder_loads_from_disk_as_from_the_hub(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    text = export(config_of(run, output=str(folder)))
    assert f"hf upload USER/NAME {folder}" in text
    names = {"config.json", "model.safetensors", "schedules.json", "schedule_map.png", "README.md"}
    assert {file.name for file in folder.iterdir()} == names
    table = ScheduleTable.load(folder / "schedules.json")
    assert table == ScheduleTable.load(run / "schedules.json")
    policy, trained = BudgetPolicy.from_pretrained(folder), BudgetPolicy.from_pretrained(run / "policy")
    assert policy.parameters_bytes == trained.parameters_bytes
    with Image.open(folder / "schedule_map.png") as picture:
        assert min(picture.size) > 300 and len(picture.convert("RGB").getcolors(1 << 24) or ()) > 10


def test_the_card_holds_the_figures_of_the_evaluation(run: Path) -> None:
    export(config_of(run))
    card = ModelCard.load(run / "export" / "hub" / "README.md")
    assert card.data.library_name == "recache_ray" and card.data.license == "apache-2.0"
    assert "(schedule_map.png)" in card.text and "budget=5)" in card.text and "num_inference_steps=20" in card.text
    pairs = compare(read_frontier(run / "evaluation" / "frontier.parquet"))
    assert len(pairs) == 5
    for pair in pairs:
        assert f"| {pair.policy.budget} | ÷{pair.policy.flops_ratio:.2f} | {pair.policy.lpips:.4f} |" in card.text
    assert "* cpu: abacus" in card.text and "* model: closed form" in card.text


def test_without_an_evaluation_the_card_says_whose_figures_it_shows() -> None:
    table = ScheduleTable(9, {3: Schedule(9, (0, 2, 5))}, {"id": "a/b"}, metrics={3: {"lpips": 0.0625}})
    card = model_card(table, ())
    assert "validation prompts, which chose the schedules" in card and "| 3 | 0.0625 |" in card
    assert "base_model: a/b" in card
    assert "Nothing was measured" in model_card(ScheduleTable(9, {3: Schedule(9, (0, 2, 5))}), ())


def test_a_file_in_the_way_and_a_proof_of_a_folder_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="is a file; to=hub writes a folder"):
        export(config_of(run, output=str(tmp_path / "file")))
    with pytest.raises(BadInputError, match=r"export\.to = hub: a folder to share"):
        verify(config_of(run))
