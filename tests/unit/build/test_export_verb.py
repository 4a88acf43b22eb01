"""The verbs ``export`` and ``verify`` on a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from recache_ray.build.export import export
from recache_ray.build.verify import verify
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule, ScheduleTable

SCHEDULE = Schedule.from_steps(12, (0, 1, 4, 9))


def config_of(folder: Path, *, pipeline_class: str = "FluxPipeline", **settings: Any) -> Config:
    model = {"id": "tiny", "pipeline_class": pipeline_class, "forwards_per_step": 1}
    ScheduleTable(12, {4: SCHEDULE}, model, {"id": "taylor1"}).save(folder / "schedules.json")
    return load_config({"run": {"dir": str(folder)}, "export": {"budget": 4, **settings}, "model": {"num_steps": 12}})


def test_the_file_lies_in_the_run_and_the_text_says_how_to_use_it(tmp_path: Path) -> None:
    text = export(config_of(tmp_path))
    path = tmp_path / "export" / "cache_dit.yaml"
    config = yaml.safe_load(path.read_text())["cache_config"]
    assert Schedule.from_mask(config["steps_computation_mask"]) == SCHEDULE
    assert f'load_configs("{path}")' in text and "computes 4 of 12 steps: 0, 1, 4, 9" in text


def test_output_is_a_folder_or_the_file(tmp_path: Path) -> None:
    export(config_of(tmp_path, output=f"{tmp_path}/served/"))
    export(config_of(tmp_path, output=f"{tmp_path}/mine.yaml"))
    assert (tmp_path / "served" / "cache_dit.yaml").read_text() == (tmp_path / "mine.yaml").read_text()
    with pytest.raises(BadInputError, match=r"export.output = .*mine.txt'.* writes a .yaml file"):
        export(config_of(tmp_path, output=f"{tmp_path}/mine.txt"))


def test_a_nearest_preset_is_not_passed_off_as_the_schedule(tmp_path: Path) -> None:
    text = export(config_of(tmp_path, to="vllm-omni"))
    assert "NOT the learned schedule" in text and "in place of 4" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 5}, r"budget = 5: not in this table; it has 4"),
        ({"to": "vllm"}, r"export.to = 'vllm': unknown target; did you mean vllm-omni\?"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        export(config_of(tmp_path, **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"to": "json"}, r"export.to = 'json': cannot be run here; what can: cache-dit, "),
        ({"to": "diffusers"}, r"diffusers_schedule.py: no such file; write it first: recache export to=diffusers"),
    ],
)
def test_verify_refuses_what_it_cannot_run(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        verify(config_of(tmp_path, **settings))


def test_a_pipeline_class_without_a_tiny_model_is_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path, to="diffusers", pipeline_class="SanaPipeline")
    export(config)
    with pytest.raises(BadInputError, match="'SanaPipeline': exports are verified on FluxPipeline, WanPipeline"):
        verify(config)


def test_the_diffusers_file_is_exact_and_another_budgets_file_is_not(tmp_path: Path) -> None:
    config = config_of(tmp_path, to="diffusers")
    export(config)
    text, passed = verify(config)
    assert passed and "exact over 3 generations of FluxPipeline: 5 blocks in each of the 4 computed steps, 0" in text
    other = tmp_path / "other.py"
    other.write_text((tmp_path / "export" / "diffusers_schedule.py").read_text().replace("0, 1, 4, 9", "0, 1, 5, 9"))
    text, passed = verify(config_of(tmp_path, to="diffusers", file=str(other)))
    assert not passed and "generation 1, step 4: 0 of 5 blocks ran, the schedule computes it" in text
