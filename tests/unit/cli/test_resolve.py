"""An existing run supplies its settings; what was typed comes on top; training refuses to change course."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recache_ray.cli.resolve import resolve
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run with other settings than the defaults, as training leaves it."""
    folder = tmp_path / "run"
    values = {
        "run": {"dir": str(folder)},
        "mechanism": {"kind": "newton", "order": 2},
        "model": {"num_steps": 12},
        "learning": {"budgets": "3..6"},
        "generate": {"prompt": "a ${b}"},
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_mapping(load_config(values))))
    return str(folder)


def test_a_fresh_start_has_the_defaults(tmp_path: Path) -> None:
    made = to_mapping(resolve([f"run.dir={tmp_path}"], {}, "resume"))
    assert made == {**to_mapping(Config()), "run": {"dir": str(tmp_path), "seed": 0}}


@pytest.mark.parametrize("start", ["resume", "existing"])
def test_a_run_supplies_its_settings(run: str, start: str) -> None:
    config = resolve([f"run.dir={run}"], {}, start)
    assert (config.mechanism.kind, config.mechanism.order, config.model.num_steps) == ("newton", 2, 12)
    assert config.generate.prompt == "a ${b}"
    assert to_mapping(config) == json.loads((Path(run) / "config.json").read_text())


def test_a_fresh_verb_ignores_the_run(run: str) -> None:
    assert resolve([f"run.dir={run}"], {}, "fresh").model.num_steps == Config().model.num_steps


def test_overrides_and_groups_come_on_top(run: str) -> None:
    config = resolve([f"run.dir={run}", "evaluation.budgets=4", "mechanism=reuse", "runtime=inline"], {}, "existing")
    assert config.evaluation.budgets == "4"
    assert config.mechanism.kind == "reuse"
    assert config.runtime.kind == "inline"
    assert config.model.num_steps == 12


def test_settings_are_judged_against_the_run_and_not_the_defaults(run: str) -> None:
    with pytest.raises(BadInputError, match=r"evaluation.budgets.*num_steps = 12"):
        resolve([f"run.dir={run}", "evaluation.budgets=15"], {}, "existing")


def test_the_folder_is_where_it_was_found(run: str, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    Path(run).rename(moved)
    assert resolve([f"run.dir={moved}"], {}, "existing").run.dir == str(moved)


def test_resuming_may_change_where_it_runs(run: str) -> None:
    again = ["mechanism=newton2", "model.num_steps=12"]
    config = resolve([f"run.dir={run}", "runtime=inline", "tracking=jsonl", "references.dir=x", *again], {}, "resume")
    assert config.runtime.kind == "inline"


def test_resuming_refuses_other_settings(run: str) -> None:
    with pytest.raises(BadInputError, match=r"learning.num_updates = 9 .*drop these overrides"):
        resolve([f"run.dir={run}", "learning.num_updates=9"], {}, "resume")


@pytest.mark.parametrize("dots", ["", "runs/none"])
def test_verbs_on_a_run_need_one(dots: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=r"holds no run.*recache train run.dir="):
        resolve([f"run.dir={dots}"] if dots else [], {}, "existing")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"run": {"colour": 1}}', b'{"model": {"num_steps": 0}}', b"\xff"])
def test_a_damaged_config_file_is_named(run: str, content: bytes) -> None:
    path = Path(run) / "config.json"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        resolve([f"run.dir={run}"], {}, "resume")
    assert str(path) in str(caught.value) and "run.dir" in str(caught.value)
    assert path.read_bytes() == content


def test_settings_newer_than_the_run_have_their_defaults(run: str) -> None:
    path = Path(run) / "config.json"
    values = json.loads(path.read_text())
    del values["learning"]["max_grad_norm"]
    path.write_text(json.dumps(values))
    assert resolve([f"run.dir={run}"], {}, "resume").learning.max_grad_norm == Config().learning.max_grad_norm
