"""ImageReward and VBench behind their process boundary, with stand-in packages in an environment like theirs."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
import tiny_clip

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.metrics.quality import environments
from recache_ray.metrics.quality.environments import check_environment, main
from recache_ray.metrics.quality.imagereward import ImageRewardScorer
from recache_ray.metrics.quality.vbench import run_vbench

IMAGE_REWARD = """
print("load checkpoint from nowhere")
class Model:
    def score(self, prompt, image):
        if prompt == "crash":
            raise SystemExit(3)
        if prompt == "fail":
            raise ValueError("no such\\nword")
        print("noise on stdout")
        return image.getpixel((0, 0))[0] / 100 + len(prompt)
def load(name, device, med_config):
    if name.endswith("ImageReward.pt") and open(name).read() == "short":
        raise EOFError("Ran out of input")
    return Model()
"""
TORCH = """
from contextlib import nullcontext as no_grad
device = str
"""
VBENCH = """
import json, os
class VBench:
    def __init__(self, device, info, output):
        self.output = output
    def evaluate(self, videos_path, name, dimension_list, mode):
        assert mode == "custom_input"
        if "broken" in os.listdir(videos_path)[0]:
            raise RuntimeError("moov atom not found")
        result = {d: [0.25 + len(d), [{"video_path": v} for v in os.listdir(videos_path)]] for d in dimension_list}
        json.dump(result, open(os.path.join(self.output, name + "_eval_results.json"), "w"))
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment whose interpreter is ours, with the stand-ins on its path."""
    folder, packages = tmp_path / "env", tmp_path / "packages"
    (folder / "bin").mkdir(parents=True)
    packages.mkdir()
    (packages / "ImageReward.py").write_text(IMAGE_REWARD, encoding="utf-8")
    (packages / "vbench.py").write_text(VBENCH, encoding="utf-8")
    (packages / "torch.py").write_text(TORCH, encoding="utf-8")  # the real one takes seconds to import
    interpreter = folder / "bin" / "python"
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    interpreter.chmod(interpreter.stat().st_mode | stat.S_IXUSR)
    return folder


def test_imagereward_scores_frames_and_survives_what_the_package_prints(environment: Path) -> None:
    frames = tiny_clip.frames(3)
    scorer = ImageRewardScorer(str(environment))
    assert scorer(frames, "a cat") == pytest.approx([int(frame[0, 0, 0]) / 100 + 5 for frame in frames])
    with pytest.raises(RunFailedError, match="ImageReward: ValueError: no such word") as caught:
        scorer(frames, "fail")
    assert "\n" not in str(caught.value)
    assert len(scorer(frames[:1], "é")) == 1
    with pytest.raises(RunFailedError, match="its process has ended"):
        scorer(frames, "crash")
    scorer.close()


def test_imagereward_without_environment_package_or_checkpoint_says_how_to_get_them(
    environment: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        BadInputError, match=r"holds no environment of imagereward; make it with: python -m recache_ray"
    ):
        ImageRewardScorer(str(tmp_path / "nowhere"))
    with pytest.raises(BadInputError, match=r"has no ImageReward\.pt"):
        ImageRewardScorer(str(environment), str(tmp_path))
    for name in ("ImageReward.pt", "med_config.json"):
        (tmp_path / name).write_text("short", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"did not start .EOFError: Ran out of input"):
        ImageRewardScorer(str(environment), str(tmp_path))
    (environment.parent / "packages" / "ImageReward.py").unlink()
    with pytest.raises(BadInputError, match=r"ImageReward cannot be imported there .*No module named"):
        check_environment("imagereward", environment)


def test_vbench_numbers_are_read_back(environment: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    with pytest.raises(BadInputError, match=r"holds no \.mp4 file"):
        run_vbench(environment, videos, tmp_path / "out")
    (videos / "a cat.mp4").write_bytes(b"x")
    wanted = ("temporal_flickering", "imaging_quality")
    scores = run_vbench(environment, videos, tmp_path / "out", wanted)
    assert scores == {"temporal_flickering": 19.25, "imaging_quality": 15.25}
    with pytest.raises(BadInputError, match="VBench dimension 'beauty': must be one of subject_consistency"):
        run_vbench(environment, videos, tmp_path / "out", ("beauty",))
    (videos / "a cat.mp4").rename(videos / "broken.mp4")
    with pytest.raises(RunFailedError, match=r"VBench failed \(RuntimeError: moov atom not found\)"):
        run_vbench(environment, videos, tmp_path / "out", wanted)


def test_an_environment_that_cannot_be_made_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    pip = tmp_path / "bin" / "python"
    pip.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for vbench' >&2\nexit 1\n", encoding="utf-8")
    pip.chmod(0o755)
    assert main(["vbench", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0 and "No matching distribution found for vbench" in said
    monkeypatch.setattr(environments, "REQUIREMENTS", {"imagereward": ()})
    assert main(["imagereward", str(tmp_path / "new"), "--python", "/nowhere/python"]) == 2
    assert "-m venv" in capsys.readouterr().err
