"""The ``hpsv2`` package's own model code and ours give the same scores; runs where the extra ``hpsv2`` is installed."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import open_clip
import pytest
import tiny_clip
import torch
from PIL import Image

from recache_ray.metrics.quality.open_clip_scorer import OpenClipScorer

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
PROMPTS = ("a cat", "A photo of TWO dogs, on the moon!", "déjà vu  in Paris", "x" * 300, "")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The package's fork of open_clip, from a copy that has the vocabulary its wheel lacks."""
    found = importlib.util.find_spec("hpsv2")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("needs the extra hpsv2: pip install --no-deps hpsv2")
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(found.submodule_search_locations[0], folder / "hpsv2")
    shutil.copy(Path(open_clip.__file__).parent / VOCABULARY, folder / "hpsv2" / "src" / "open_clip")
    (folder / "hpsv2" / "__init__.py").write_text("", encoding="utf-8")  # it would import a downloader
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("hpsv2.src.open_clip")
    finally:
        sys.path.remove(str(folder))


def test_scores_agree_within_a_thousandth_on_the_same_weights(package: ModuleType, tmp_path: Path) -> None:
    tiny_clip.register(tmp_path)
    torch.save({"state_dict": tiny_clip.model().state_dict()}, tmp_path / "hps.pt")
    ours = OpenClipScorer.hps("hpsv2.1", str(tmp_path / "hps.pt"), architecture=tiny_clip.NAME)
    theirs = package.CLIP(**tiny_clip.CONFIG, output_dict=True).eval()
    theirs.load_state_dict(torch.load(tmp_path / "hps.pt", weights_only=True)["state_dict"])
    prepare = package.image_transform(56, is_train=False, resize_longest_max=True)
    worst = 0.0
    for number, (height, width) in enumerate(((60, 60), (40, 90), (90, 40), (100, 110), (150, 30))):
        picture = tiny_clip.frames(1, height, width, seed=number)
        pixels = prepare(Image.fromarray(picture[0]))[None]
        for prompt in PROMPTS:
            with torch.no_grad():
                out = theirs(pixels, package.tokenize([prompt]))
            score = float((out["image_features"] @ out["text_features"].T)[0, 0])
            worst = max(worst, abs(ours(picture, prompt)[0] - score))
    assert worst < 1e-3, worst


def test_both_tokenizers_give_the_same_ids(package: ModuleType) -> None:
    for prompt in PROMPTS:
        assert torch.equal(package.tokenize([prompt]), open_clip.get_tokenizer("ViT-H-14")([prompt]))


def test_the_published_architecture_has_the_same_parameters(package: ModuleType) -> None:
    with torch.device("meta"):
        theirs = package.CLIP(**package.get_model_config("ViT-H-14")).state_dict()
        ours = open_clip.CLIP(**open_clip.get_model_config("ViT-H-14")).state_dict()
    assert {name: value.shape for name, value in theirs.items()} == {name: value.shape for name, value in ours.items()}
