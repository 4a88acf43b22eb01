"""The last line a training prints is a command that works for what was trained."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from recache_ray.build.requests import prompt_set
from recache_ray.build.summary import next_steps
from recache_ray.config.root import Config, load_config


@pytest.mark.parametrize(
    ("model", "prompts", "output"),
    [
        ({"kind": "shapes"}, None, "out.png"),
        ({"kind": "shapes-video", "frames": 9, "height": 32, "width": 32}, None, "out.webp"),
        ({"kind": "shapes"}, 'it\'s a "dog", 3 cats & ${HOME}\nanother\nthird\n', "out.png"),
    ],
)
def test_it_asks_for_a_held_out_prompt_in_a_file_the_model_can_fill(
    tmp_path: Path, model: dict[str, object], prompts: str | None, output: str
) -> None:
    sizes = {"num_train": 1, "num_validation": 1, "num_test": 1}
    if prompts is not None:
        (tmp_path / "prompts.txt").write_text(prompts, encoding="utf-8")
        sizes["file"] = str(tmp_path / "prompts.txt")
    config: Config = load_config({"model": model, "prompts": sizes, "run": {"dir": str(tmp_path)}})
    last = next_steps(config, tmp_path).splitlines()[-1]
    words = shlex.split(last.removeprefix("next"))
    assert words[:2] == ["recache", "generate"]
    typed = dict(word.split("=", 1) for word in words[2:])
    assert typed["prompt"] == prompt_set(config).test[0].text
    assert typed["output"] == output
