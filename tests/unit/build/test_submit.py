"""What is wrong with a submission is found before any server is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from recache_ray.build.submit import submit
from recache_ray.cli.resolve import resolve
from recache_ray.errors import BadInputError

REPOSITORY = Path(__file__).resolve().parents[3]


def refusal(*arguments: str) -> str:
    with pytest.raises(BadInputError) as caught:
        submit(resolve(["runtime=cluster", *arguments], {}, "fresh"), [])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_job_without_a_cluster_address_is_refused() -> None:
    assert refusal("runtime.address=").startswith("runtime.address is empty: the job would start a cluster of its own")


def test_a_runtime_environment_must_be_there_and_be_one(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert refusal(f"submit.runtime_env={missing}").startswith(f"submit.runtime_env = '{missing}': cannot be read")
    cluster = REPOSITORY / "cluster" / "on-prem.yaml"
    assert "is a file of another kind (ray up on local)" in refusal(f"submit.runtime_env={cluster}")
    secret = tmp_path / "env.yaml"
    secret.write_text("env_vars:\n  HF_TOKEN: hf_abcdefghijklmnopqrstuv\n")
    said = refusal(f"submit.runtime_env={secret}")
    assert said.startswith("submit.runtime_env = ") and "HF_TOKEN" in said and "hf_abc" not in said


def test_no_job_server_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    said = refusal("submit.runtime_env=", "submit.server=http://127.0.0.1:9")
    assert said.startswith("submit.server = 'http://127.0.0.1:9': no job server answers there")
    assert "ray dashboard" in said
