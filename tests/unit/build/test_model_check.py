"""What is wrong with the model is said before anything is started."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError

from recache_ray.build.model_check import check_model
from recache_ray.build.references import fill
from recache_ray.build.train import train
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError


def configured(tmp_path: Path, **model: Any) -> Config:
    return load_config(
        {
            "run": {"dir": str(tmp_path / "run")},
            "model": {"kind": "flux", "path": "black-forest-labs/FLUX.1-dev", "num_steps": 50, **model},
            "prompts": {"file": str(tmp_path / "prompts.txt")},
            "references": {"dir": str(tmp_path / "references")},
            "tracking": {"mlflow": False},
        }
    )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: HfApi, *args: Any, **kwargs: Any) -> None:
        raise OSError("[Errno -2] Name or service not known")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "model_info", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("verb", [train, fill])
def test_nothing_starts_without_the_model(tmp_path: Path, verb: Any) -> None:
    started = time.monotonic()
    with pytest.raises(BadInputError) as caught:
        verb(configured(tmp_path), lambda line: None)
    assert time.monotonic() - started < 20
    line = str(caught.value)
    for part in (
        "model.path = 'black-forest-labs/FLUX.1-dev'",
        "Name or service not known",
        "accept the licence at https://huggingface.co/black-forest-labs/FLUX.1-dev",
        "hf download black-forest-labs/FLUX.1-dev --local-dir FOLDER",
        "model.path=FOLDER",
    ):
        assert part in line
    assert "\n" not in line
    assert not (tmp_path / "run").exists() and not (tmp_path / "references").exists()


def test_a_gated_model_says_where_to_accept_its_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gated(self: HfApi, *args: Any, **kwargs: Any) -> None:
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "model_info", lambda self, *args, **kwargs: None)
    monkeypatch.setattr(HfApi, "auth_check", gated)
    with pytest.raises(BadInputError, match=r"needs its licence accepted at https://huggingface\.co/.*hf auth login"):
        check_model(configured(tmp_path))


def test_a_folder_of_another_family_is_refused_and_a_video_model_is_not(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "WanPipeline"}))
    check_model(configured(tmp_path, kind="wan", path=str(tmp_path), frames=5))
    with pytest.raises(BadInputError, match=r"is a WanPipeline, this adapter runs FluxPipeline; set model\.kind=wan"):
        check_model(configured(tmp_path, path=str(tmp_path)))


def test_a_running_cluster_may_have_what_this_machine_has_not(tmp_path: Path) -> None:
    values = {"model": {"kind": "flux", "path": "/only/on/the/workers"}, "prompts": {"file": "p.txt"}}
    check_model(load_config({**values, "runtime": {"address": "auto"}}))
    with pytest.raises(BadInputError, match="no such folder"):
        check_model(load_config(values))


@pytest.mark.parametrize("kind", ["shapes", "shapes-video"])
def test_the_embedded_models_are_always_there(kind: str) -> None:
    check_model(load_config({"model": {"kind": kind}}))
