"""The whole job on the embedded video model: references, training, evaluation, report, files; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from recache_ray.cli.main import main
from recache_ray.evaluation.pictures import PICTURES
from recache_ray.references.encoding import decode_frames

pytestmark = pytest.mark.integration

FRAMES = 9
CAPTION = "a large red circle moving left on a black background"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The settings that name a finished run."""
    folder = tmp_path_factory.mktemp("video")
    where = [f"run.dir={folder}/run", f"references.dir={folder}/references"]
    small = [
        "learning.budgets=2",
        "learning.num_updates=1",
        "learning.tasks_per_update=1",
        "learning.polish_evaluations=2",
        "learning.rivals=[]",
        "prompts.num_train=1",
        "evaluation.baselines=[uniform]",
        "reward.frames=3",
    ]
    settings = ["experiment=smoke", "model=shapes-video", "mechanism=hermite", "runtime=inline", "tracking=jsonl"]
    assert main(["train", *settings, *where, *small]) == 0
    return where


def path_of(place: list[str], setting: str) -> Path:
    return Path(next(each for each in place if each.startswith(setting)).partition("=")[2])


def test_schedules_and_every_frame_of_the_references_are_there(place: list[str]) -> None:
    table = json.loads((path_of(place, "run.dir") / "schedules.json").read_text())
    assert table["model"]["id"] == "shapes-video" and table["model"]["pipeline_class"] == "WanPipeline"
    assert (table["model"]["frames"], table["model"]["forwards_per_step"]) == (FRAMES, 2)
    assert table["mechanism"]["id"] == "hermite2" and list(table["schedules"]) == ["2"]
    shards = (path_of(place, "references.dir") / "images").glob("*.parquet")
    rows = [row for shard in shards for row in pq.read_table(shard, columns=["prompt", "frame"]).to_pylist()]
    assert len(rows) == FRAMES * len({row["prompt"] for row in rows}) == FRAMES * 4


def test_the_report_plays_what_the_evaluation_kept(place: list[str]) -> None:
    run = path_of(place, "run.dir")
    pictures = PICTURES.read(run / "evaluation" / "pictures.parquet")
    assert {decode_frames(picture.png).shape for picture in pictures} == {(FRAMES, 32, 32, 3)}
    assert main(["report", *place[:1], "evaluation.bootstrap_samples=100"]) == 0
    page = (run / "report" / "index.html").read_text()
    assert 'id="player"' in page and f"--frames: {FRAMES}" in page


def test_a_video_file_holds_the_generation(place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ["generate", *place[:1], f"generate.prompt='{CAPTION}'", "generate.budget=2"]
    assert main([*asked, f"generate.output={tmp_path}/out.webp", "generate.compare=true"]) == 0
    assert "2 of 6 steps computed" in (said := capsys.readouterr().out) and "LPIPS" in said
    with Image.open(tmp_path / "out.webp") as video:
        assert video.n_frames == FRAMES
        video.load()
        assert video.info["duration"] == 125
    assert main([*asked, f"generate.output={tmp_path}/out.png"]) == 2
    assert "holds one of model.frames = 9 frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "reward.frames=10"], "reward.frames = 10: a generation has model.frames = 9; must be at most 9"),
        (["references", "model.frames=5"], "holds references of frames = 9, this run needs 5"),
        (["references", "model.height=64", "model.width=64"], "height = 32"),
        (["references", "model.frames=7"], "frames = 7 must be a multiple of 4 plus 1"),
        (["train", "model.num_steps=7"], "num_steps"),
    ],
)
def test_what_does_not_fit_the_run_is_one_line(
    place: list[str], arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    verb, *settings = arguments
    fresh = ["model=shapes-video", "runtime=inline", "model.num_steps=6"] if verb == "references" else []
    assert main([verb, *place, *fresh, *settings]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said
